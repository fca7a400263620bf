/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* children.h: CAIRN_CHILDREN=0: the programs this process starts run without Cairn. */

#ifndef CAIRN_MALLOC_CHILDREN_H
#define CAIRN_MALLOC_CHILDREN_H

/* Takes this library out of LD_PRELOAD in the environment. A program that takes this process over by exec is no
 * child: the exec functions of children.c put the entry back for it. From the constructor, once. */
void children_leave(void);

#endif
