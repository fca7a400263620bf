/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors
 *
 * no_clone ERRNO COMMAND...: runs a command in which making a process fails
 * with that error, by a seccomp filter. Threads may be made: clone3 "does not
 * exist", so the C library uses clone, and clone is let through with
 * CLONE_THREAD. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: no_clone ERRNO COMMAND...\n");
        return 2;
    }
    unsigned refuse = SECCOMP_RET_ERRNO | ((unsigned)atoi(argv[1]) & SECCOMP_RET_DATA);
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
    struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("no_clone: seccomp");
        return 1;
    }
    execvp(argv[2], argv + 2);
    perror("no_clone: exec");
    return 1;
}
