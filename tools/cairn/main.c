/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* main.c: the command `cairn`: finds the subcommand in the table and hands over. Only players (player.h)
 * call the library; everything else must start where the library would not. Single-threaded. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cairn.h"
#include "command.h"
#include "message.h"
#include "program.h"

static int help_execute(int count, char **arguments);
static void help_help(void);

/* Every subcommand, in the order `cairn --help` shows them. */
static const struct command commands[] = {
    {"run", "run a program on Cairn", run_execute, run_help},
    {"record", "write down what a program asks of its memory manager", record_execute, record_help},
    {"replay", "play what was recorded under other policies, and compare", replay_execute, replay_help},
    {"lab", "record a program, compare every policy on it, write a report", lab_execute, lab_help},
    {"help", "show the help of a command", help_execute, help_help},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static void print_help(void)
{
    puts("Usage: cairn COMMAND [ARGUMENTS]\n"
         "Cairn, Python's memory manager as a library for any program.\n"
         "\n"
         "Commands:");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        printf("  %-14s  %s\n", commands[i].name, commands[i].summary);
    }
    puts("\n"
         "Options:\n"
         "  -h, --help      show this help and exit\n"
         "  -V, --version   show the version and exit\n"
         "\n"
         "'cairn help COMMAND' or 'cairn COMMAND --help' shows the help of a command; see also cairn(1).");
}

static void help_help(void)
{
    puts("Usage: cairn help [COMMAND]\n"
         "Shows the help of COMMAND, or of cairn itself.");
}

/* Says that `name` is no command, with what was probably meant. Returns the exit status. */
static int unknown_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    struct program program;

    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i].name;
    }
    const char *nearest = nearest_name(name, names, COMMAND_COUNT);
    if (name[0] == '-') {
        say("unknown option '%s'; see 'cairn --help'", name);
    } else if (program_find(&program, name) == 0) {
        say("unknown command '%s'; to run the program of that name: cairn run -- %s", name, name);
    } else if (nearest != NULL) {
        say("unknown command '%s'; did you mean 'cairn %s'?", name, nearest);
    } else {
        say("unknown command '%s'; 'cairn --help' lists the commands", name);
    }
    return EXIT_CAIRN;
}

static int help_execute(int count, char **arguments)
{
    if (count > 2) {
        say("help takes one command, and '%s' is one too many; see 'cairn --help'", arguments[2]);
        return EXIT_CAIRN;
    }
    const char *name = count == 2 ? arguments[1] : NULL;
    if (name == NULL) {
        print_help();
        return finish_output();
    }
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) {
        name = "help";
    }
    const struct command *command = find_command(name);
    if (command == NULL) {
        return unknown_command(name);
    }
    command->help();
    return finish_output();
}

/* Options of cairn itself, before any command. Returns the exit status, or -1 if `word` is none of them. */
static int own_option(const char *word)
{
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
        print_help();
        return finish_output();
    }
    if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0) {
        puts("cairn " CAIRN_VERSION_STRING);
        return finish_output();
    }
    return -1;
}

int main(int count, char **arguments)
{
    if (count < 2) {
        fail(EXIT_CAIRN, "no command given; to run a program: cairn run -- PROGRAM; 'cairn --help' lists the commands");
    }
    int status = own_option(arguments[1]);
    if (status >= 0) {
        return status;
    }
    const struct command *command = find_command(arguments[1]);
    if (command == NULL) {
        return unknown_command(arguments[1]);
    }
    return command->execute(count - 1, arguments + 1);
}
