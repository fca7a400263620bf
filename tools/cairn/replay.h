/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* replay.h: playing a recording under a list of policies, for `cairn replay` and `cairn lab`. Single-threaded. */

#ifndef CAIRN_TOOL_REPLAY_H
#define CAIRN_TOOL_REPLAY_H

#include <stdbool.h>

#include "player.h"
#include "policies.h"
#include "survey.h"

struct replay_wish {
    enum verify verify;
    bool threads; /* as many as recorded */
    bool paced;   /* not faster than recorded */
};

/* survey_read() with a bar on stderr, if that is a terminal and it takes long. */
void replay_survey(struct survey *survey, const char *command, const char *path);

/* Plays each policy in a process of its own, one after the other, with a bar on stderr if that is a terminal. Returns
 * one play for each (the caller frees them). */
struct play *replay_all(const char *path, const struct survey *survey, const struct policies *policies,
                        const struct replay_wish *wish);

/* Says on stderr what went wrong; returns the number of plays that failed. */
size_t replay_complain(const struct play *plays, size_t count);

#endif
