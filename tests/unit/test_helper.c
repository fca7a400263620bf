/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_helper.c: helper processes (os/os_helper.h): what they give, that the program does not notice them, and that
 * they end whatever happens. There is nothing to test under valgrind, which knows no clone of this kind, and under
 * ThreadSanitizer, which keeps signals back until the program waits. */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "os/os_helper.h"
#include "os/os_share.h"
#include "support/test.h"

enum { LONG_MS = 60000, SOON_MS = 10000, NOBODY = 65534 };

struct board {
    _Atomic uint32_t word;
    _Atomic uint32_t running;
    _Atomic int32_t pid;
};

static struct board *board;

static void sleep_ms(unsigned milliseconds)
{
    (void)usleep(milliseconds * 1000);
}

/* ---- what helpers do here ---- */

static void say(void *argument)
{
    board->word = *(uint32_t *)argument;
}

static void spin(void *argument)
{
    (void)argument;
    board->running = 1;
    for (;;) {
    }
}

static void take_lock(void *argument)
{
    board->running = 1;
    (void)pthread_mutex_lock(argument);
}

static int32_t start_helper(void (*run)(void *argument), void *argument, unsigned limit_ms)
{
    int32_t pid = 0;
    board->running = 0;
    assert_int_equal(os_helper_start(run, argument, limit_ms, &pid), 0);
    assert_true(pid > 0);
    return pid;
}

static void await_running(void)
{
    for (unsigned i = 0; board->running == 0; i++) {
        assert_true(i < SOON_MS);
        sleep_ms(1);
    }
}

static int32_t start_running(void (*run)(void *argument), void *argument, unsigned limit_ms)
{
    int32_t pid = start_helper(run, argument, limit_ms);
    await_running();
    return pid;
}

static void end_helper(int32_t pid)
{
    os_helper_kill(pid);
    assert_int_equal(os_helper_wait(pid), OS_HELPER_ENDED);
}

/* ---- tests ---- */

static void test_result(void **state)
{
    (void)state;
    uint32_t number = 4711;
    int32_t pid = start_helper(say, &number, LONG_MS);
    enum os_helper_state told;
    while ((told = os_helper_poll(pid)) == OS_HELPER_RUNS) {
        sleep_ms(1);
    }
    assert_int_equal(told, OS_HELPER_ENDED);
    assert_int_equal(board->word, 4711);
    assert_int_equal(os_helper_poll(pid), OS_HELPER_LOST);
}

static void test_killed(void **state)
{
    (void)state;
    int32_t pid = start_running(spin, NULL, LONG_MS);
    assert_int_equal(os_helper_poll(pid), OS_HELPER_RUNS);
    end_helper(pid);
}

static void test_end_is_seen_without_reaping(void **state)
{
    (void)state;
    int32_t pid = start_running(spin, NULL, LONG_MS);
    assert_false(os_helper_has_ended(pid));
    os_helper_kill(pid);
    while (!os_helper_has_ended(pid)) {
        sleep_ms(1);
    }
    assert_true(os_helper_has_ended(pid));
    assert_int_equal(os_helper_poll(pid), OS_HELPER_ENDED);
    assert_false(os_helper_has_ended(pid));
}

static void test_time_limit(void **state)
{
    (void)state;
    int32_t pid = start_helper(spin, NULL, 150);
    assert_int_equal(os_helper_wait(pid), OS_HELPER_ENDED);
}

static void test_time_limit_at_a_lock(void **state)
{
    (void)state;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    (void)pthread_mutex_lock(&lock);
    int32_t pid = start_running(take_lock, &lock, 150);
    assert_int_equal(os_helper_wait(pid), OS_HELPER_ENDED);
    (void)pthread_mutex_unlock(&lock);
}

static volatile sig_atomic_t child_signals;

static void count_signal(int number)
{
    (void)number;
    child_signals++;
}

static void test_wait_does_not_see_it(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = count_signal}, before;
    child_signals = 0;
    (void)sigaction(SIGCHLD, &action, &before);
    int32_t pid = start_running(spin, NULL, LONG_MS);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    os_helper_kill(pid);
    sleep_ms(100);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(os_helper_wait(pid), OS_HELPER_ENDED);
    assert_int_equal(child_signals, 0);
    (void)sigaction(SIGCHLD, &before, NULL);
}

static void test_children_ignored(void **state)
{
    (void)state;
    void (*before)(int) = signal(SIGCHLD, SIG_IGN);
    int32_t pid = start_running(spin, NULL, LONG_MS);
    end_helper(pid);
    (void)signal(SIGCHLD, before);
}

static void test_descriptors(void **state)
{
    (void)state;
    int ends[2], again[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    int32_t pid = start_running(spin, NULL, LONG_MS);
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    (void)close(ends[0]);
    assert_int_equal(pipe(again), 0);
    assert_int_equal(again[0], ends[0]);
    assert_int_equal(again[1], ends[1]);
    (void)close(again[0]);
    (void)close(again[1]);
    end_helper(pid);
}

static void test_signals_of_the_group(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = count_signal}, before;
    (void)sigaction(SIGTERM, &action, &before);
    (void)setpgid(0, 0);
    child_signals = 0;
    int32_t pid = start_running(spin, NULL, LONG_MS);
    assert_int_equal(getpgid(pid), pid); /* or a stop of the group would stop it, and that be reported to us */
    (void)kill(0, SIGTERM);
    sleep_ms(10);
    assert_int_equal(child_signals, 1);
    assert_int_equal(os_helper_poll(pid), OS_HELPER_RUNS);
    end_helper(pid);
    (void)sigaction(SIGTERM, &before, NULL);
}

static void test_errno_and_mask_kept(void **state)
{
    (void)state;
    sigset_t before, after;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    errno = 123;
    end_helper(start_helper(spin, NULL, LONG_MS));
    assert_int_equal(errno, 123);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < 32; number++) {
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
    }
}

/* ---- in a child of its own ---- */

/* Runs body() in a child and returns its exit code. */
static int in_child(int (*body)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(body());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int start_and_leave(void)
{
    int32_t pid = 0;
    board->running = 0;
    int error = os_helper_start(spin, NULL, LONG_MS, &pid);
    board->pid = pid;
    while (error == 0 && board->running == 0) {
        sleep_ms(1);
    }
    return error;
}

static void test_ends_with_its_parent(void **state)
{
    (void)state;
    assert_int_equal(in_child(start_and_leave), 0);
    for (unsigned i = 0; os_process_lives(board->pid); i++) {
        assert_true(i < SOON_MS);
        sleep_ms(1);
    }
}

static int start_error(void)
{
    int32_t pid = 0;
    int error = os_helper_start(spin, NULL, LONG_MS, &pid);
    return pid == 0 ? error : 255;
}

static int start_without_clone(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = (unsigned short)COUNT_OF(filter), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        return EPERM; /* there are no filters here */
    }
    return start_error();
}

static void test_clone_forbidden(void **state)
{
    (void)state;
    assert_int_equal(in_child(start_without_clone), EPERM);
}

static int start_beyond_limit(void)
{
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_NPROC, &none);
    if (getuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) != 0) {
        return EAGAIN; /* root has no limit */
    }
    return start_error();
}

static void test_process_limit(void **state)
{
    (void)state;
    assert_int_equal(in_child(start_beyond_limit), EAGAIN);
}

static unsigned fork_handlers;

static void count_fork(void)
{
    fork_handlers++;
}

static void test_no_fork_handlers(void **state)
{
    (void)state;
    assert_int_equal(pthread_atfork(count_fork, count_fork, count_fork), 0);
    fork_handlers = 0;
    end_helper(start_helper(spin, NULL, LONG_MS));
    assert_int_equal(fork_handlers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_end_is_seen_without_reaping),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_time_limit_at_a_lock),
        cmocka_unit_test(test_wait_does_not_see_it),
        cmocka_unit_test(test_children_ignored),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_signals_of_the_group),
        cmocka_unit_test(test_errno_and_mask_kept),
        cmocka_unit_test(test_ends_with_its_parent),
        cmocka_unit_test(test_clone_forbidden),
        cmocka_unit_test(test_process_limit),
        cmocka_unit_test(test_no_fork_handlers),
    };
    if (!test_can_clone()) {
        return 0;
    }
    board = os_helper_share(sizeof *board);
    require(board != NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
