/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* place.h: where single functions and variables lie in the library. cmake/CairnLayout.cmake orders the others, by file. */

#ifndef CAIRN_OS_PLACE_H
#define CAIRN_OS_PLACE_H

/* A function that requests, waits or the end of most processes need, unlike the others of its file. */
#define OF_REQUESTS __attribute__((hot))

/* A function that few processes need once they run, among others of its file that requests do. */
#define SELDOM __attribute__((section(".text.seldom")))

/* Zeroed variables that fill pages of which most processes touch none. */
#define LARGE_DATA __attribute__((section(".bss.large")))

#endif
