/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* churn: many threads on few cores replace blocks of their own and of each other. usage: churn SECONDS WARM-UP THREADS
 * [LOST], where LOST KiB in each second are asked for and never freed.
 *
 * Each thread has LIVE slots of its own; all share SHARED more for each thread. A step makes a block and puts it into a
 * slot, every second time into a shared one, and frees what it takes out of it: what comes out of a shared slot was
 * mostly made by another thread, often by one that has ended: a thread lives for LIFE steps and then starts the one
 * that takes over its slots.
 *
 * For churn.py it prints a line at each moment and then waits for a line: "started PID"; after WARM-UP seconds, with the
 * threads alive but at rest and malloc_trim() called by each of them, so that no block is on its way, "warm FIGURES";
 * after SECONDS in all, with the threads at rest, "churned STEPS FIGURES"; when they have called malloc_trim() again,
 * "settled FIGURES"; when they have ended and everything is freed it waits for a line and prints "ended FIGURES"; after
 * malloc_trim(), "trimmed FIGURES". FIGURES are, on Cairn, of all heaps: arenas, pools with live blocks, live blocks,
 * owners, remote frees; elsewhere zeros. */

#include <dlfcn.h>
#include <malloc.h>
#include <stdatomic.h>
#include <time.h>

#include "cairn.h"
#include "programs/bench.h"

#define THREADS_MAX 256
#define LIVE 500
#define SHARED 2000
#define LIFE 300000
#define PATIENCE 64 /* steps between looks at what the main thread wants */

enum wish { CHURN, HOLD, END };

struct worker {
    uint64_t random;
    _Atomic(uint64_t) steps;
    void *blocks[LIVE];
};

static struct worker workers[THREADS_MAX];
static _Atomic(void *) shared[THREADS_MAX * SHARED];
static size_t threads;
static _Atomic(enum wish) wish;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t holding, trims, trimmed, ended; /* under `lock`; every thread that holds is to trim `trims` times */

/* What the main thread wants now; returns when that is no longer to hold. */
static enum wish obey(void)
{
    if (atomic_load_explicit(&wish, memory_order_relaxed) == CHURN)
        return CHURN;
    pthread_mutex_lock(&lock);
    size_t done = trims;
    holding++;
    pthread_cond_broadcast(&changed);
    while (wish == HOLD) {
        if (done == trims) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        done = trims;
        pthread_mutex_unlock(&lock);
        malloc_trim(0);
        pthread_mutex_lock(&lock);
        trimmed++;
        pthread_cond_broadcast(&changed);
    }
    holding--;
    pthread_mutex_unlock(&lock);
    return wish;
}

static void step(struct worker *worker)
{
    size_t size = bench_skewed_size(&worker->random, 16384);
    void *block = bench_alloc(size);
    bench_mark(block, size, size);
    if (worker->random >> 63) {
        block = atomic_exchange(&shared[bench_below(&worker->random, threads * SHARED)], block);
    } else {
        void **slot = &worker->blocks[bench_below(&worker->random, LIVE)];
        void *old = *slot;
        *slot = block;
        block = old;
    }
    free(block);
}

static void start(struct worker *worker);

static void *live(void *argument)
{
    struct worker *worker = argument;
    for (size_t i = 1; i <= LIFE; i++) {
        step(worker);
        if (i % PATIENCE != 0)
            continue;
        atomic_fetch_add_explicit(&worker->steps, PATIENCE, memory_order_relaxed);
        if (obey() == END) {
            for (size_t k = 0; k < LIVE; k++)
                free(worker->blocks[k]);
            pthread_mutex_lock(&lock);
            ended++;
            pthread_cond_broadcast(&changed);
            pthread_mutex_unlock(&lock);
            return NULL;
        }
    }
    start(worker);
    return NULL;
}

static void start(struct worker *worker)
{
    pthread_t thread;
    bench_start(&thread, live, worker);
    pthread_detach(thread);
}

/* Until all threads have done what the main thread wants; `count` is holding, trimmed or ended. */
static void wait_for_all(const size_t *count)
{
    pthread_mutex_lock(&lock);
    while (*count < threads)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void want(enum wish next)
{
    pthread_mutex_lock(&lock);
    wish = next;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Everyone's blocks go home at the first trim and to the system at the second. */
static void settle(void)
{
    for (int i = 0; i < 2; i++) {
        pthread_mutex_lock(&lock);
        trims++;
        trimmed = 0;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        wait_for_all(&trimmed);
        malloc_trim(0);
    }
}

static void hold(void)
{
    want(HOLD);
    wait_for_all(&holding);
}

/* Lets the threads work, and loses memory meanwhile. */
static void churn_for(double seconds, size_t lost_kib)
{
    enum { PARTS = 10 }; /* of a second */
    want(CHURN);
    for (double left = seconds * PARTS; left > 0; left--) {
        double part = (left < 1 ? left : 1) / PARTS;
        for (size_t kib = 0; kib < (size_t)((double)lost_kib * part); kib++)
            bench_mark(bench_alloc(1024), 1024, 1024);
        nanosleep(&(struct timespec){.tv_nsec = (long)(part * 1e9)}, NULL);
    }
}

/* ---- what churn.py hears ---- */

struct figures {
    __typeof__(&cairn_heap_stats) stats;
    size_t arenas, pools, blocks, owners, remote;
};

static bool add_heap(cairn_heap *heap, void *context)
{
    static cairn_stats stats;
    struct figures *figures = context;
    figures->stats(heap, &stats);
    figures->arenas += stats.arenas;
    figures->pools += stats.pools_used + stats.pools_full;
    figures->blocks += stats.live_blocks;
    figures->owners += stats.owners;
    figures->remote += stats.remote_frees;
    return true;
}

static void print_figures(void)
{
    struct figures figures = {.stats = (__typeof__(figures.stats))dlsym(RTLD_DEFAULT, "cairn_heap_stats")};
    __typeof__(&cairn_heaps_visit) visit = (__typeof__(visit))dlsym(RTLD_DEFAULT, "cairn_heaps_visit");
    if (figures.stats != NULL && visit != NULL)
        visit(add_heap, &figures);
    printf(" %zu %zu %zu %zu %zu\n", figures.arenas, figures.pools, figures.blocks, figures.owners, figures.remote);
    fflush(stdout);
}

/* Waits for a line in poll(), as a server would. */
static void wait_for_line(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char letter;
    do {
        poll(&input, 1, -1);
        if (read(0, &letter, 1) != 1)
            exit(1);
    } while (letter != '\n');
}

int main(int argc, char **argv)
{
    double seconds = argc >= 4 ? strtod(argv[1], NULL) : 0;
    double warm_up = argc >= 4 ? strtod(argv[2], NULL) : 0;
    threads = argc >= 4 ? (size_t)strtoul(argv[3], NULL, 10) : 0;
    size_t lost = argc == 5 ? (size_t)strtoul(argv[4], NULL, 10) : 0;
    if (!(warm_up >= 0 && warm_up < seconds && seconds < 1e6) || threads == 0 || threads > THREADS_MAX || argc > 5) {
        fprintf(stderr, "usage: churn SECONDS WARM-UP THREADS [LOST] (at most %d threads)\n", THREADS_MAX);
        return 2;
    }
    printf("started %d\n", (int)getpid());
    fflush(stdout);
    wait_for_line();
    for (size_t i = 0; i < threads; i++) {
        workers[i].random = BENCH_SEED + i;
        start(&workers[i]);
    }
    churn_for(warm_up, lost);
    hold();
    settle();
    printf("warm");
    print_figures();
    wait_for_line();
    churn_for(seconds - warm_up, lost);
    hold();
    uint64_t steps = 0;
    for (size_t i = 0; i < threads; i++)
        steps += workers[i].steps;
    printf("churned %" PRIu64, steps);
    print_figures();
    wait_for_line();
    settle();
    printf("settled");
    print_figures();
    wait_for_line();
    want(END);
    wait_for_all(&ended);
    for (size_t i = 0; i < threads * SHARED; i++)
        free(shared[i]);
    wait_for_line();
    printf("ended");
    print_figures();
    wait_for_line();
    malloc_trim(0);
    printf("trimmed");
    print_figures();
    wait_for_line();
    return 0;
}
