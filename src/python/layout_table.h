/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* layout_table.h: offsets of PyInterpreterState.gc and of its fields, one row for each minor version of CPython, in the
 * order of struct gc_layout. Printed by scripts/python-layouts from the headers of the versions named; a test compares.
 * Included once, in the table of layout.c. */

/* clang-format off */
{9, 616, 12, 16, 24, 96, 104, 128, 200, 208, 216, 224, 232}, /* 3.9.18 */
{10, 616, 12, 16, 24, 96, 104, 128, 200, 208, 216, 224, 232}, /* 3.10.13 */
{11, 648, 12, 16, 24, 96, 104, 128, 200, 208, 216, 224, 232}, /* 3.11.7 */
{12, 112, 12, 16, 24, 96, 104, 128, 200, 208, 216, 224, 232}, /* 3.12.1 */
{13, 7400, 12, 16, 24, 96, 104, 128, 200, 208, 216, 224, 232}, /* 3.13.0 */
    /* clang-format on */
