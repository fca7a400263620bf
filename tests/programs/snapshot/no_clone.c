/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors
 *
 * no_clone WHICH ERRNO COMMAND...: runs a command in which making a process
 * fails with that error, by a seccomp filter: any process, or one that shares
 * the memory of its parent ("sharing"; vfork does so for a moment, and may).
 * Threads may be made: clone3 "does not exist", so the C library uses clone,
 * and clone is let through with CLONE_THREAD. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))

static void install(const struct sock_fprog *program)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program) != 0) {
        perror("no_clone: seccomp");
        exit(1);
    }
}

static void refuse_any(unsigned refuse)
{
    struct sock_filter filter[] = {
        LOAD(nr),
        IF_EQUAL(SYS_clone3, 0, 1),
        RETURN(SECCOMP_RET_ERRNO | ENOSYS),
        IF_EQUAL(SYS_fork, 5, 0),
        IF_EQUAL(SYS_vfork, 4, 0),
        IF_EQUAL(SYS_clone, 0, 2),
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(refuse),
    };
    install(&(struct sock_fprog){sizeof(filter) / sizeof(*filter), filter});
}

static void refuse_sharing(unsigned refuse)
{
    struct sock_filter filter[] = {
        LOAD(nr),
        IF_EQUAL(SYS_clone3, 0, 1),
        RETURN(SECCOMP_RET_ERRNO | ENOSYS),
        IF_EQUAL(SYS_clone, 0, 3),
        LOAD(args[0]),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, CLONE_VM | CLONE_THREAD | CLONE_VFORK),
        IF_EQUAL(CLONE_VM, 1, 0),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(refuse),
    };
    install(&(struct sock_fprog){sizeof(filter) / sizeof(*filter), filter});
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: no_clone any|sharing ERRNO COMMAND...\n");
        return 2;
    }
    unsigned refuse = SECCOMP_RET_ERRNO | ((unsigned)atoi(argv[2]) & SECCOMP_RET_DATA);
    if (strcmp(argv[1], "sharing") == 0) {
        refuse_sharing(refuse);
    } else {
        refuse_any(refuse);
    }
    execvp(argv[3], argv + 3);
    perror("no_clone: exec");
    return 1;
}
