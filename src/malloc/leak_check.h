/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* leak_check.h: CAIRN_LEAKS: what is still allocated when the process ends. */

#ifndef CAIRN_MALLOC_LEAK_CHECK_H
#define CAIRN_MALLOC_LEAK_CHECK_H

#include <stdbool.h>

enum { LEAKS_STATUS = 99 };

/* Prepares the check if the options ask for it and this process is the one to speak. From the constructor, once, before
 * report_arm(), so that the report comes behind the statistics. */
void leak_check_arm(void);

/* Then begins to note call sites: last of all in the constructor, so that nothing of Cairn's own is counted. */
void leak_check_begin(void);

/* True if this process is to make the check and has not done so yet. */
bool leak_check_due(void);

/* Makes the check and writes its report to stderr, once. True if the process is to end with LEAKS_STATUS. */
bool leak_check_make(void);

#endif
