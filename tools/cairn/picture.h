/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* picture.h: the address space of a player's allocator as a picture of cells. Single-threaded; allocates nothing: its
 * tables are shared memory, as all of a player's. */

#ifndef CAIRN_TOOL_PICTURE_H
#define CAIRN_TOOL_PICTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "player.h"

struct pictures;

/* Notes the mappings of this process that are not the allocator's: call it before the first request. NULL if there is
 * no memory. */
struct pictures *pictures_begin(void);

/* What is called for each live block. */
typedef void (*picture_visit)(struct pictures *pictures, const char *block, size_t size);

/* Draws what is mapped now. `walk` visits every live block; it is asked twice. */
void pictures_draw(struct pictures *pictures, struct picture *picture,
                   void (*walk)(void *context, struct pictures *pictures, picture_visit visit), void *context);

#endif
