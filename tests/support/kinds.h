/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds.h: what tests of the built-in kinds share: a runtime of its own for each test, which must end with nothing kept,
 * and descriptions. */

#ifndef CAIRN_TEST_KINDS_H
#define CAIRN_TEST_KINDS_H

#include "cairn_kinds.h"
#include "support/test.h"

/* The runtime of the test that runs. */
extern cairn_runtime *runtime;

/* Setup: makes it with the default options. Teardown: checks and ends it; fails if a fault is found, or if an object or
 * a block is left. */
int test_runtime_start(void **state);
int test_runtime_end(void **state);

/* A new int. */
cairn_object *new_int(int64_t value);

/* Compares an object's description; assert_repr() gives the object up, too, and fails for NULL. */
void assert_text(cairn_object *object, const char *expected);
void assert_repr(cairn_object *object, const char *expected);

#endif
