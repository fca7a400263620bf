/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds.c: see kinds.h. */

#include "support/kinds.h"

#include <string.h>

cairn_runtime *runtime;

int test_runtime_start(void **state)
{
    (void)state;
    runtime = cairn_runtime_create(NULL);
    return runtime ? 0 : 1;
}

int test_runtime_end(void **state)
{
    (void)state;
    cairn_runtime_end found;
    size_t faults = cairn_runtime_check(runtime, stderr);
    int error = cairn_runtime_destroy_checked(runtime, stderr, &found);
    return faults || error || found.kept_objects || found.kept_blocks ? 1 : 0;
}

cairn_object *new_int(int64_t value)
{
    cairn_object *object = cairn_int_new(runtime, value);
    assert_non_null(object);
    return object;
}

void assert_text(cairn_object *object, const char *expected)
{
    char text[8192];
    size_t length = cairn_object_repr(object, text, sizeof text);
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
}

void assert_repr(cairn_object *object, const char *expected)
{
    assert_non_null(object);
    assert_text(object, expected);
    cairn_decref(object);
}
