/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_threads.c: shared heaps under threads. The promise behind every test: nothing is stranded. Once all threads
 * have ended and all blocks are freed, a trim leaves the heap holding no byte. */

#include <semaphore.h>
#include <stdlib.h>

#include "heap/owner.h"
#include "heap/pagemap.h"
#include "heap/types.h"
#include "heap/watch.h"
#include "support/os_fake.h"
#include "support/test.h"

static const size_t sizes[] = {1, 16, 40, 100, 250, 500, 900, 2000, 5000, 20000, 60000, 90000, KIB(400)};

/* All is freed and no thread is in the heap: it must be empty, and its counts must agree. */
static void expect_empty(cairn_heap *heap)
{
    cairn_trim(heap);
    heap_is_sound(heap);
    const cairn_stats *stats = stats_of(heap);
    assert_int_equal(stats->live_blocks, 0);
    assert_int_equal(stats->live_bytes, 0);
    assert_int_equal(stats->requests, stats->frees);
    assert_int_equal(stats->held_bytes, 0);
    assert_int_equal(stats->arenas, 0);
}

/* ---- a basket of blocks, filled by one thread and emptied by another ---- */

enum { BASKET = 3000 };

struct basket {
    cairn_heap *heap;
    void *blocks[BASKET];
    size_t size; /* 0: all sizes */
};

static size_t basket_size(const struct basket *basket, size_t i)
{
    return basket->size != 0 ? basket->size : sizes[i % COUNT_OF(sizes)];
}

static void *fill_basket(void *argument)
{
    struct basket *basket = argument;
    for (size_t i = 0; i < BASKET; i++) {
        basket->blocks[i] = cairn_alloc(basket->heap, basket_size(basket, i));
        require(basket->blocks[i] != NULL);
        pattern_fill(basket->blocks[i], basket_size(basket, i), i);
    }
    return NULL;
}

static void *empty_basket(void *argument)
{
    struct basket *basket = argument;
    for (size_t i = 0; i < BASKET; i++) {
        require(pattern_holds(basket->blocks[i], basket_size(basket, i), basket_size(basket, i), i));
        cairn_free(basket->heap, basket->blocks[i]);
    }
    return NULL;
}

static struct basket *basket_of(const char *preset, size_t size)
{
    struct basket *basket = malloc(sizeof *basket);
    assert_non_null(basket);
    basket->heap = heap_of_preset(preset, false);
    basket->size = size;
    return basket;
}

static void basket_end(struct basket *basket)
{
    cairn_heap_destroy(basket->heap);
    free(basket);
}

static void run_in_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    start_thread(&thread, body, argument);
    join_thread(thread);
}

static void blocks_outlive_the_thread_that_asked_for_them(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        struct basket *basket = basket_of(presets[p], 0);
        run_in_thread(fill_basket, basket);
        heap_is_sound(basket->heap);
        assert_int_equal(stats_of(basket->heap)->live_blocks, BASKET);
        assert_int_equal(stats_of(basket->heap)->owners, 0);
        empty_basket(basket);
        expect_empty(basket->heap);
        basket_end(basket);
    }
}

static void blocks_may_be_freed_by_a_thread_that_never_asked(void **state)
{
    (void)state;
    struct basket *basket = basket_of("default", 0);
    fill_basket(basket);
    assert_int_equal(stats_of(basket->heap)->owners, policy_has_pools()); /* owners own pools */
    run_in_thread(empty_basket, basket);
    expect_empty(basket->heap);
    basket_end(basket);
}

static void blocks_of_an_ended_thread_may_be_freed_by_another(void **state)
{
    (void)state;
    struct basket *basket = basket_of("default", 0);
    run_in_thread(fill_basket, basket);
    run_in_thread(empty_basket, basket);
    expect_empty(basket->heap);
    basket_end(basket);
}

static void remote_frees_are_counted_and_come_home(void **state)
{
    (void)state;
    only_with_pools();
    struct basket *basket = basket_of("default", 64);
    fill_basket(basket);
    assert_int_equal(stats_of(basket->heap)->remote_frees, 0);
    run_in_thread(empty_basket, basket);
    cairn_trim(basket->heap);
    assert_int_equal(stats_of(basket->heap)->remote_frees, BASKET);
    assert_int_equal(stats_of(basket->heap)->frees, BASKET);
    basket_end(basket);
}

/* Each size has letters of another length, down to those that list nothing. */
static void blocks_of_every_size_come_home(void **state)
{
    (void)state;
    only_with_pools();
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        struct basket *basket = basket_of(presets[p], 0);
        size_t rounds = 0;
        for (size_t size = 8; size <= 1024; size += size < 64 ? 8 : 120) {
            basket->size = size;
            fill_basket(basket);
            run_in_thread(empty_basket, basket);
            cairn_trim(basket->heap);
            heap_is_sound(basket->heap);
            assert_int_equal(stats_of(basket->heap)->live_blocks, 0);
            assert_int_equal(stats_of(basket->heap)->remote_frees, ++rounds * BASKET);
        }
        expect_empty(basket->heap);
        basket_end(basket);
    }
}

enum { LISTED = 20, LISTED_SIZE = 240 };

static void *free_listed(void *argument)
{
    struct basket *basket = argument;
    for (size_t i = 0; i < LISTED; i++) {
        cairn_free(basket->heap, basket->blocks[i]);
    }
    return NULL;
}

/* One block is the letter that lists the others. */
static void blocks_on_their_way_are_not_written(void **state)
{
    (void)state;
    only_with_pools();
    struct basket *basket = basket_of("default", LISTED_SIZE);
    fill_basket(basket);
    run_in_thread(free_listed, basket);
    size_t written = 0;
    for (size_t i = 0; i < LISTED; i++) {
        written += !pattern_holds(basket->blocks[i], LISTED_SIZE, LISTED_SIZE, i);
    }
    assert_int_equal(written, 1);
    cairn_trim(basket->heap);
    assert_int_equal(stats_of(basket->heap)->remote_frees, LISTED);
    assert_int_equal(stats_of(basket->heap)->live_blocks, BASKET - LISTED);
    basket_end(basket);
}

static _Atomic(size_t) told;

static void tell_freed(const void *block)
{
    (void)block;
    atomic_fetch_add(&told, 1);
}

static void tell_given(const void *block, size_t asked)
{
    (void)block;
    (void)asked;
}

static void tell_resized(const void *old, const void *block, size_t asked)
{
    (void)old;
    (void)block;
    (void)asked;
}

static void tell_nothing(void)
{
}

/* Those that join a chain too, which other heaps do on a quicker way. */
static void the_watcher_is_told_each_block_that_another_thread_frees(void **state)
{
    (void)state;
    static const struct heap_watch watch = {.given = tell_given,
                                            .resized = tell_resized,
                                            .freed = tell_freed,
                                            .lock = tell_nothing,
                                            .unlock = tell_nothing};
    cairn_heap_options options = {.struct_size = sizeof options, .exact = true};
    struct basket *basket = malloc(sizeof *basket);
    assert_non_null(basket);
    basket->heap = heap_as_told(&options);
    basket->size = 48;
    fill_basket(basket);
    atomic_store(&told, 0);
    atomic_store(&heap_watch, &watch);
    run_in_thread(empty_basket, basket);
    atomic_store(&heap_watch, NULL);
    assert_int_equal(atomic_load(&told), BASKET);
    basket_end(basket);
}

static void memory_freed_by_others_serves_its_owner_again(void **state)
{
    (void)state;
    struct basket *basket = basket_of("default", 200);
    fill_basket(basket);
    run_in_thread(empty_basket, basket);
    size_t held = stats_of(basket->heap)->held_peak;
    for (int round = 0; round < 20; round++) {
        fill_basket(basket);
        run_in_thread(empty_basket, basket);
    }
    assert_true(stats_of(basket->heap)->held_peak <= held + KIB(128));
    basket_end(basket);
}

/* ---- thread exit ---- */

static void *ask_and_end(void *argument)
{
    cairn_heap *heap = argument;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *block = cairn_alloc(heap, sizes[i]);
        require(block != NULL);
        bytes_fill(block, 1, sizes[i]);
        cairn_free(heap, block);
    }
    return NULL;
}

static void two_hundred_short_threads_leave_nothing_behind(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", false);
    size_t metadata = 0;
    for (int i = 0; i < 200; i++) {
        run_in_thread(ask_and_end, heap);
        if (i == 10) {
            metadata = stats_of(heap)->metadata_bytes;
        }
    }
    assert_int_equal(stats_of(heap)->owners, 0);
    assert_int_equal(stats_of(heap)->metadata_bytes, metadata);
    assert_int_equal(stats_of(heap)->requests, 200 * COUNT_OF(sizes));
    expect_empty(heap);
    cairn_heap_destroy(heap);
}

static void fifty_threads_at_once_leave_nothing_behind(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("cpython", false);
    pthread_t threads[50];
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < COUNT_OF(threads); i++) {
            start_thread(&threads[i], ask_and_end, heap);
        }
        for (size_t i = 0; i < COUNT_OF(threads); i++) {
            join_thread(threads[i]);
        }
    }
    assert_int_equal(stats_of(heap)->owners, 0);
    expect_empty(heap);
    cairn_heap_destroy(heap);
}

enum { CROWD = THREAD_NUMBERS + 20, ROUNDS = 20 };

/* Threads that are there at the same time, and two heaps that each of them uses in turn. */
struct crowd {
    cairn_heap *heaps[2];
    pthread_barrier_t all;
};

static void *use_in_crowd(void *argument)
{
    struct crowd *crowd = argument;
    void *blocks[2 * ROUNDS];
    for (size_t i = 0; i < 2 * ROUNDS; i++) {
        blocks[i] = cairn_alloc(crowd->heaps[i % 2], 48);
        require(blocks[i] != NULL);
        bytes_fill(blocks[i], (int)i, 48);
    }
    (void)pthread_barrier_wait(&crowd->all);
    for (size_t i = 0; i < 2 * ROUNDS; i++) {
        require(bytes_are(blocks[i], (int)i, 48));
        cairn_free(crowd->heaps[i % 2], blocks[i]);
    }
    (void)pthread_barrier_wait(&crowd->all);
    return NULL;
}

static void more_threads_than_have_numbers_use_two_heaps_in_turn(void **state)
{
    (void)state;
    struct crowd crowd = {.heaps = {heap_of_preset("default", false), heap_of_preset("classic", false)}};
    for (int round = 0; round < 2; round++) {
        pthread_t threads[CROWD];
        assert_int_equal(pthread_barrier_init(&crowd.all, NULL, CROWD), 0);
        for (size_t i = 0; i < CROWD; i++) {
            start_thread(&threads[i], use_in_crowd, &crowd);
        }
        for (size_t i = 0; i < CROWD; i++) {
            join_thread(threads[i]);
        }
        pthread_barrier_destroy(&crowd.all);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(stats_of(crowd.heaps[i])->owners, 0);
        assert_int_equal(stats_of(crowd.heaps[i])->requests, 2 * CROWD * ROUNDS);
        assert_int_equal(stats_of(crowd.heaps[i])->remote_frees, 0);
        expect_empty(crowd.heaps[i]);
        cairn_heap_destroy(crowd.heaps[i]);
    }
}

static void pools_of_an_ended_thread_serve_the_next(void **state)
{
    (void)state;
    only_with_pools();
    struct basket *basket = basket_of("classic", 100);
    run_in_thread(fill_basket, basket);
    for (size_t i = 0; i < BASKET; i++) {
        if (i % 2 == 0) {
            cairn_free(basket->heap, basket->blocks[i]);
        }
    }
    size_t held = stats_of(basket->heap)->held_bytes;
    for (size_t i = 0; i < BASKET; i += 2) {
        basket->blocks[i] = cairn_alloc(basket->heap, 100);
        pattern_fill(basket->blocks[i], 100, i);
    }
    assert_int_equal(stats_of(basket->heap)->held_bytes, held);
    empty_basket(basket);
    expect_empty(basket->heap);
    basket_end(basket);
}

/* Runs when the thread ends, before or after the heap's own hook: pthread keys have no order. */
static pthread_key_t late_key;

static void late_destructor(void *argument)
{
    empty_basket(argument);
    fill_basket(argument);
    empty_basket(argument);
}

static void *end_with_work_left(void *argument)
{
    fill_basket(argument);
    require(pthread_setspecific(late_key, argument) == 0);
    return NULL;
}

static void destructors_of_the_thread_may_still_use_the_heap(void **state)
{
    (void)state;
    struct basket *basket = basket_of("default", 0);
    run_in_thread(fill_basket, basket); /* the heap's own key is older now */
    empty_basket(basket);
    assert_int_equal(pthread_key_create(&late_key, late_destructor), 0);
    size_t owners = stats_of(basket->heap)->owners; /* this thread is one: it freed */
    for (int i = 0; i < 10; i++) {
        run_in_thread(end_with_work_left, basket);
    }
    pthread_key_delete(late_key);
    assert_int_equal(stats_of(basket->heap)->owners, owners);
    expect_empty(basket->heap);
    basket_end(basket);
}

/* ---- producer and consumer ---- */

enum { QUEUE = 256 };

struct queue {
    cairn_heap *heap;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void *blocks[QUEUE];
    size_t first, count;
    size_t items;
};

static void put(struct queue *queue, void *block)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == QUEUE) {
        pthread_cond_wait(&queue->changed, &queue->lock);
    }
    queue->blocks[(queue->first + queue->count++) % QUEUE] = block;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

static void *get(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0) {
        pthread_cond_wait(&queue->changed, &queue->lock);
    }
    void *block = queue->blocks[queue->first];
    queue->first = (queue->first + 1) % QUEUE;
    queue->count--;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
    return block;
}

static void *produce(void *argument)
{
    struct queue *queue = argument;
    for (size_t i = 0; i < queue->items; i++) {
        size_t size = sizes[i % 8];
        void *block = cairn_alloc(queue->heap, size);
        require(block != NULL);
        pattern_fill(block, cairn_usable_size(block), 1);
        put(queue, block);
    }
    return NULL;
}

static void *consume(void *argument)
{
    struct queue *queue = argument;
    for (size_t i = 0; i < queue->items; i++) {
        void *block = get(queue);
        size_t usable = cairn_usable_size(block);
        require(pattern_holds(block, usable, usable, 1));
        cairn_free(queue->heap, block);
    }
    return NULL;
}

static void run_queue(const char *preset, size_t pairs)
{
    struct queue queue = {.heap = heap_of_preset(preset, false), .items = test_scaled(100000)};
    pthread_mutex_init(&queue.lock, NULL);
    pthread_cond_init(&queue.changed, NULL);
    pthread_t threads[8];
    for (size_t i = 0; i < pairs; i++) {
        start_thread(&threads[2 * i], produce, &queue);
        start_thread(&threads[2 * i + 1], consume, &queue);
    }
    for (size_t i = 0; i < 2 * pairs; i++) {
        join_thread(threads[i]);
    }
    assert_int_equal(stats_of(queue.heap)->requests, pairs * queue.items);
    /* At most the queue and what the threads hold back is on its way, so the heap stays small. */
    assert_true(stats_of(queue.heap)->held_peak < MIB(8) * pairs);
    expect_empty(queue.heap);
    cairn_heap_destroy(queue.heap);
    pthread_cond_destroy(&queue.changed);
    pthread_mutex_destroy(&queue.lock);
}

static void a_producer_and_a_consumer_keep_the_heap_small(void **state)
{
    (void)state;
    run_queue("default", 1);
    run_queue("classic", 1);
}

static void four_producers_and_four_consumers_keep_the_heap_small(void **state)
{
    (void)state;
    run_queue("default", 4);
    run_queue("cpython", 4);
}

/* ---- several heaps and threads ---- */

enum { HEAPS = 40 };

struct forest {
    cairn_heap *heaps[HEAPS];
    void *blocks[HEAPS][COUNT_OF(sizes)];
};

static void *plant(void *argument)
{
    struct forest *forest = argument;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (size_t h = 0; h < HEAPS; h++) {
            forest->blocks[h][i] = cairn_alloc(forest->heaps[h], sizes[i]);
            require(forest->blocks[h][i] != NULL);
            require(cairn_heap_of(forest->blocks[h][i]) == forest->heaps[h]);
            pattern_fill(forest->blocks[h][i], sizes[i], h);
        }
    }
    return NULL;
}

static void *fell(void *argument)
{
    struct forest *forest = argument;
    for (size_t h = HEAPS; h-- > 0;) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            require(pattern_holds(forest->blocks[h][i], sizes[i], sizes[i], h));
            cairn_free(forest->heaps[h], forest->blocks[h][i]);
        }
    }
    return NULL;
}

static void *plant_and_fell(void *argument)
{
    struct forest forest = *(const struct forest *)argument;
    for (size_t i = 0; i < 20; i++) {
        plant(&forest);
        fell(&forest);
    }
    return NULL;
}

static void forest_create(struct forest *forest)
{
    for (size_t h = 0; h < HEAPS; h++) {
        forest->heaps[h] = cairn_heap_create(NULL);
        assert_non_null(forest->heaps[h]);
    }
}

static void forest_destroy(struct forest *forest)
{
    for (size_t h = 0; h < HEAPS; h++) {
        expect_empty(forest->heaps[h]);
        cairn_heap_destroy(forest->heaps[h]);
    }
}

static void one_thread_may_use_more_than_16_heaps(void **state)
{
    (void)state;
    static struct forest forest;
    forest_create(&forest);
    plant(&forest);
    fell(&forest);
    run_in_thread(plant, &forest);
    fell(&forest);
    plant(&forest);
    run_in_thread(fell, &forest);
    forest_destroy(&forest);
}

static void four_threads_may_use_forty_heaps_at_once(void **state)
{
    (void)state;
    static struct forest forest;
    forest_create(&forest);
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        start_thread(&threads[i], plant_and_fell, &forest);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        join_thread(threads[i]);
    }
    forest_destroy(&forest);
}

/* ---- heaps that end ---- */

static void a_heap_that_ended_threads_used_can_be_destroyed_full(void **state)
{
    (void)state;
    size_t before = 0;
    for (int round = 0; round < 5; round++) {
        struct basket *basket = basket_of("default", 0);
        run_in_thread(fill_basket, basket);
        run_in_thread(fill_basket, basket);
        basket_end(basket);
        if (round == 0) {
            before = os_fake_reserved_bytes();
        }
    }
    assert_int_equal(os_fake_reserved_bytes(), before);
}

struct relay {
    cairn_heap *heap;
    pthread_barrier_t used;
    pthread_barrier_t gone;
};

/* Uses a heap, waits until it is gone, uses others, ends. */
static void *use_and_outlive(void *argument)
{
    struct relay *relay = argument;
    void *block = cairn_alloc(relay->heap, 100);
    require(block != NULL);
    pthread_barrier_wait(&relay->used);
    pthread_barrier_wait(&relay->gone);
    for (int i = 0; i < 30; i++) {
        cairn_heap *own = cairn_heap_create(NULL);
        require(own != NULL);
        block = cairn_alloc(own, 100);
        require(cairn_heap_of(block) == own);
        cairn_free(own, block);
        require(cairn_heap_check(own, stderr) == 0);
        cairn_heap_destroy(own);
    }
    return NULL;
}

/* A new heap may come to lie where the old one was; the threads must not take it for the old one. */
static void threads_outlive_the_heaps_they_used(void **state)
{
    (void)state;
    struct relay relay;
    pthread_t threads[3];
    for (int round = 0; round < 5; round++) {
        relay.heap = cairn_heap_create(NULL);
        assert_non_null(relay.heap);
        pthread_barrier_init(&relay.used, NULL, COUNT_OF(threads) + 1);
        pthread_barrier_init(&relay.gone, NULL, COUNT_OF(threads) + 1);
        for (size_t i = 0; i < COUNT_OF(threads); i++) {
            start_thread(&threads[i], use_and_outlive, &relay);
        }
        pthread_barrier_wait(&relay.used);
        cairn_heap_destroy(relay.heap);
        pthread_barrier_wait(&relay.gone);
        for (size_t i = 0; i < COUNT_OF(threads); i++) {
            join_thread(threads[i]);
        }
        pthread_barrier_destroy(&relay.used);
        pthread_barrier_destroy(&relay.gone);
    }
}

static void one_thread_may_create_and_destroy_heaps_for_ever(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        cairn_heap *heap = cairn_heap_create(NULL);
        void *block = cairn_alloc(heap, (size_t)i * 100);
        assert_ptr_equal(cairn_heap_of(block), heap);
        assert_int_equal(stats_of(heap)->live_blocks, 1);
        if (i % 2) {
            cairn_free(heap, block);
        }
        cairn_heap_destroy(heap);
    }
}

static void *churn_heaps(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < test_scaled(200); i++) {
        cairn_heap *heap = cairn_heap_create(NULL);
        require(heap != NULL);
        for (size_t s = 0; s < COUNT_OF(sizes); s++) {
            void *block = cairn_alloc(heap, sizes[s]);
            require(cairn_heap_of(block) == heap);
        }
        cairn_heap_destroy(heap);
    }
    return NULL;
}

static void threads_may_create_and_destroy_their_own_heaps_at_once(void **state)
{
    (void)state;
    churn_heaps(NULL);
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        start_thread(&threads[i], churn_heaps, NULL);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        join_thread(threads[i]);
    }
    assert_int_equal(os_fake_faults(), 0);
}

/* ---- resize from afar ---- */

static void *grow_all(void *argument)
{
    struct basket *basket = argument;
    for (size_t i = 0; i < BASKET; i++) {
        size_t size = basket_size(basket, i);
        basket->blocks[i] = cairn_realloc(basket->heap, basket->blocks[i], size * 2 + 10);
        require(basket->blocks[i] != NULL);
        require(pattern_holds(basket->blocks[i], size, size, i));
    }
    return NULL;
}

static void any_thread_may_resize_a_block(void **state)
{
    (void)state;
    struct basket *basket = basket_of("default", 0);
    fill_basket(basket);
    run_in_thread(grow_all, basket);
    for (size_t i = 0; i < BASKET; i++) {
        cairn_free(basket->heap, basket->blocks[i]);
    }
    expect_empty(basket->heap);
    basket_end(basket);
}

/* ---- a thread that only frees ---- */

enum { FEW_SIZE = 64, MANY_SIZE = 512, MANY = 200 };

struct handed {
    cairn_heap *heap;
    size_t size;
    size_t count;
    void *blocks[MANY];
    sem_t filled, may_end;
};

static void *fill_and_wait(void *argument)
{
    struct handed *handed = argument;
    for (size_t i = 0; i < handed->count; i++) {
        handed->blocks[i] = cairn_alloc(handed->heap, handed->size);
        require(handed->blocks[i] != NULL);
    }
    sem_post(&handed->filled);
    sem_wait(&handed->may_end);
    return NULL;
}

static void start_handing(struct handed *handed, pthread_t *thread, cairn_heap *heap, size_t size, size_t count)
{
    *handed = (struct handed){.heap = heap, .size = size, .count = count};
    assert_int_equal(sem_init(&handed->filled, 0, 0), 0);
    assert_int_equal(sem_init(&handed->may_end, 0, 0), 0);
    start_thread(thread, fill_and_wait, handed);
    sem_wait(&handed->filled);
}

static size_t live_of(cairn_heap *heap, size_t size)
{
    const cairn_stats *stats = stats_of(heap);
    for (size_t i = 0; i < stats->class_count; i++) {
        if (stats->classes[i].block_size == size) {
            return stats->classes[i].blocks_live;
        }
    }
    fail();
    return 0;
}

/* A block is sent off while its owner lives; then its pool becomes the sender's own. When the outbox is sent, it must
 * not wait in the sender's inbox for a request that never comes. */
static void a_thread_that_only_frees_gets_its_own_blocks_back(void **state)
{
    (void)state;
    only_with_pools();
    static struct handed few;
    static struct handed many;
    pthread_t of_few;
    pthread_t of_many;
    cairn_heap *heap = heap_of_preset("default", false);
    void *own = cairn_alloc(heap, FEW_SIZE); /* who asks for blocks of a class adopts its pools */
    start_handing(&few, &of_few, heap, FEW_SIZE, 2);
    start_handing(&many, &of_many, heap, MANY_SIZE, MANY);
    cairn_free(heap, few.blocks[0]); /* into the outbox */
    sem_post(&few.may_end);
    join_thread(of_few);
    cairn_free(heap, few.blocks[1]); /* adopts the pool */
    assert_int_equal(live_of(heap, FEW_SIZE), 1 + 1);
    for (size_t i = 0; i < MANY; i++) {
        cairn_free(heap, many.blocks[i]); /* more than an outbox holds */
    }
    assert_int_equal(live_of(heap, FEW_SIZE), 1);
    sem_post(&many.may_end);
    join_thread(of_many);
    cairn_free(heap, own);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

/* ---- a thread that frees what ended ones left, and asks for none of it ---- */

static void *fill_and_end(void *argument)
{
    struct handed *handed = argument;
    for (size_t i = 0; i < handed->count; i++) {
        handed->blocks[i] = cairn_alloc(handed->heap, handed->size);
        require(handed->blocks[i] != NULL);
    }
    return NULL;
}

static void *free_odd(void *argument)
{
    struct handed *handed = argument;
    for (size_t i = 1; i < handed->count; i += 2) {
        cairn_free(handed->heap, handed->blocks[i]);
    }
    return NULL;
}

/* If it adopted the pools, what others free there would wait in its inbox. */
static void pools_of_ended_threads_do_not_wait_for_who_only_frees(void **state)
{
    (void)state;
    only_with_pools();
    enum { HELD_BACK = 32 }; /* more than waits to be freed together */
    static struct handed left;
    cairn_heap *heap = heap_of_preset("default", false);
    void *own = cairn_alloc(heap, 2000); /* another class */
    left = (struct handed){.heap = heap, .size = MANY_SIZE, .count = MANY};
    run_in_thread(fill_and_end, &left);
    for (size_t i = 0; i < MANY; i += 2) {
        cairn_free(heap, left.blocks[i]);
    }
    assert_true(live_of(heap, MANY_SIZE) <= MANY / 2 + HELD_BACK);
    run_in_thread(free_odd, &left);
    assert_true(live_of(heap, MANY_SIZE) <= HELD_BACK);
    cairn_trim(heap);
    assert_int_equal(live_of(heap, MANY_SIZE), 0);
    cairn_free(heap, own);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

/* ---- a thread that does not look into its inbox ---- */

enum { ASLEEP = 20000, IN_FLIGHT = 3000 /* of 64 bytes: what an inbox, an outbox and a class's kept blocks hold */ };

struct sleeper {
    cairn_heap *heap;
    void *blocks[ASLEEP];
    sem_t filled, may_end;
};

static void *fill_and_sleep(void *argument)
{
    struct sleeper *sleeper = argument;
    for (size_t i = 0; i < ASLEEP; i++) {
        sleeper->blocks[i] = cairn_alloc(sleeper->heap, FEW_SIZE);
        require(sleeper->blocks[i] != NULL);
    }
    sem_post(&sleeper->filled);
    sem_wait(&sleeper->may_end);
    return NULL;
}

static void start_sleeper(struct sleeper *sleeper, pthread_t *thread, cairn_heap *heap)
{
    *sleeper = (struct sleeper){.heap = heap};
    assert_int_equal(sem_init(&sleeper->filled, 0, 0), 0);
    assert_int_equal(sem_init(&sleeper->may_end, 0, 0), 0);
    start_thread(thread, fill_and_sleep, sleeper);
    sem_wait(&sleeper->filled);
}

/* One thread makes all blocks and then sleeps; another replaces each of them, twice. What it frees serves its own
 * requests: the blocks that wait for the sleeper do not grow without bound. */
static void blocks_freed_for_a_sleeping_thread_serve_who_frees_them(void **state)
{
    (void)state;
    only_with_pools();
    static struct sleeper sleeper;
    pthread_t thread;
    cairn_heap *heap = heap_of_preset("default", false);
    start_sleeper(&sleeper, &thread, heap);
    for (size_t i = 0; i < 2 * (size_t)ASLEEP; i++) {
        void **block = &sleeper.blocks[i % ASLEEP];
        cairn_free(heap, *block);
        *block = cairn_alloc(heap, FEW_SIZE);
        assert_non_null(*block);
        pattern_fill(*block, FEW_SIZE, i);
    }
    for (size_t i = 0; i < ASLEEP; i++) {
        assert_true(pattern_holds(sleeper.blocks[i], FEW_SIZE, FEW_SIZE, ASLEEP + i));
    }
    assert_in_range(live_of(heap, FEW_SIZE), ASLEEP, ASLEEP + IN_FLIGHT);
    assert_int_equal(stats_of(heap)->requests, 3 * (size_t)ASLEEP);
    heap_is_sound(heap);
    for (size_t i = 0; i < ASLEEP; i++) {
        cairn_free(heap, sleeper.blocks[i]);
    }
    sem_post(&sleeper.may_end);
    join_thread(thread);
    expect_empty(heap);
    cairn_heap_destroy(heap);
}

/* Replaces some of the sleeper's blocks, so that some are kept, and wakes it; then frees what it left. */
static void a_block_kept_from_an_ended_thread_and_freed_twice_is_told(void **state)
{
    (void)state;
    only_with_pools();
    enum { REPLACED = 17000, ROOM = 64, ASKED = 1000 };
    static struct sleeper sleeper;
    pthread_t thread;
    cairn_heap *heap = heap_of_preset("default", false);
    start_sleeper(&sleeper, &thread, heap);
    for (size_t i = 0; i < REPLACED; i++) {
        cairn_free(heap, sleeper.blocks[i]);
        sleeper.blocks[i] = cairn_alloc(heap, FEW_SIZE);
        assert_non_null(sleeper.blocks[i]);
    }
    sem_post(&sleeper.may_end);
    join_thread(thread);
    static void *more[ROOM + ASKED];
    for (size_t i = 0; i < ROOM; i++) {
        more[i] = cairn_alloc(heap, FEW_SIZE);
        assert_non_null(more[i]);
    }
    size_t live = live_of(heap, FEW_SIZE);
    void *left = sleeper.blocks[REPLACED + 1000]; /* in a full pool */
    assert_true(pool_owner(pagemap_get(left))->common);
    misuse_record_start();
    cairn_free(heap, left);
    assert_int_equal(live_of(heap, FEW_SIZE), live); /* kept: to its pool it is in use */
    assert_int_equal(misuse_record_now()->count, 0);
    cairn_free(heap, left);
    assert_int_equal(misuse_record_stop()->count, 1);
    assert_int_equal(misuse_record_now()->last.kind, CAIRN_MISUSE_DOUBLE_FREE);
    assert_ptr_equal(misuse_record_now()->last.address, left);
    size_t served = 0; /* with that block, once */
    for (size_t i = 0; i < ROOM + ASKED; i++) {
        more[i] = i < ROOM ? more[i] : cairn_alloc(heap, FEW_SIZE);
        served += more[i] == left;
    }
    assert_int_equal(served, 1);
    for (size_t i = 0; i < ASLEEP; i++) {
        cairn_free(heap, sleeper.blocks[i] == left ? NULL : sleeper.blocks[i]);
    }
    for (size_t i = 0; i < ROOM + ASKED; i++) {
        cairn_free(heap, more[i]);
    }
    expect_empty(heap);
    cairn_heap_destroy(heap);
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_only_frees_gets_its_own_blocks_back),
        cmocka_unit_test(a_block_kept_from_an_ended_thread_and_freed_twice_is_told),
        cmocka_unit_test(pools_of_ended_threads_do_not_wait_for_who_only_frees),
        cmocka_unit_test(blocks_freed_for_a_sleeping_thread_serve_who_frees_them),
        cmocka_unit_test(blocks_outlive_the_thread_that_asked_for_them),
        cmocka_unit_test(the_watcher_is_told_each_block_that_another_thread_frees),
        cmocka_unit_test(blocks_may_be_freed_by_a_thread_that_never_asked),
        cmocka_unit_test(blocks_of_an_ended_thread_may_be_freed_by_another),
        cmocka_unit_test(remote_frees_are_counted_and_come_home),
        cmocka_unit_test(blocks_of_every_size_come_home),
        cmocka_unit_test(blocks_on_their_way_are_not_written),
        cmocka_unit_test(memory_freed_by_others_serves_its_owner_again),
        cmocka_unit_test(two_hundred_short_threads_leave_nothing_behind),
        cmocka_unit_test(fifty_threads_at_once_leave_nothing_behind),
        cmocka_unit_test(more_threads_than_have_numbers_use_two_heaps_in_turn),
        cmocka_unit_test(pools_of_an_ended_thread_serve_the_next),
        cmocka_unit_test(destructors_of_the_thread_may_still_use_the_heap),
        cmocka_unit_test(a_producer_and_a_consumer_keep_the_heap_small),
        cmocka_unit_test(four_producers_and_four_consumers_keep_the_heap_small),
        cmocka_unit_test(one_thread_may_use_more_than_16_heaps),
        cmocka_unit_test(four_threads_may_use_forty_heaps_at_once),
        cmocka_unit_test(a_heap_that_ended_threads_used_can_be_destroyed_full),
        cmocka_unit_test(threads_outlive_the_heaps_they_used),
        cmocka_unit_test(one_thread_may_create_and_destroy_heaps_for_ever),
        cmocka_unit_test(threads_may_create_and_destroy_their_own_heaps_at_once),
        cmocka_unit_test(any_thread_may_resize_a_block),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
