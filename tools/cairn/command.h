/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* command.h: the contract of a subcommand. A subcommand is one row of the table in main.c and one file that defines
 * its two functions. Single-threaded. */

#ifndef CAIRN_TOOL_COMMAND_H
#define CAIRN_TOOL_COMMAND_H

struct command {
    const char *name;
    const char *summary; /* one line for `cairn --help` */

    /* Does the work. arguments[0] is the subcommand's own name. Returns the exit status of the process. */
    int (*execute)(int count, char **arguments);

    /* Writes the help text to stdout. */
    void (*help)(void);
};

/* run.c: `cairn run`, a program on Cairn. */
int run_execute(int count, char **arguments);
void run_help(void);

/* record.c: `cairn record`, what a program asks for, written down. */
int record_execute(int count, char **arguments);
void record_help(void);

/* replay.c: `cairn replay`, the same under other policies. */
int replay_execute(int count, char **arguments);
void replay_help(void);

/* lab.c: `cairn lab`, both, and a report. */
int lab_execute(int count, char **arguments);
void lab_help(void);

#endif
