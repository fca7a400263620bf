/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_object_faults.c: faults of the user's are reported with the object named, and the program goes on if the handler
 * lets it. Compiled as programs are that want every count checked. */

#define CAIRN_OBJECT_CHECKS 1

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cairn_kinds.h"
#include "support/test.h"

struct node {
    cairn_object object;
    cairn_object *to;
    cairn_object *other;
};

static cairn_runtime *runtime;
static unsigned faults;
static cairn_object_fault last;
static char text[512];

static void note(const cairn_object_fault *fault)
{
    faults++;
    last = *fault;
    (void)snprintf(text, sizeof text, "%s", fault->text);
}

static int set_up(void **state)
{
    (void)state;
    runtime = cairn_runtime_create(NULL);
    cairn_collector_disable(runtime);
    faults = 0;
    text[0] = 0;
    (void)cairn_set_object_fault_handler(note);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cairn_runtime_destroy(runtime);
    (void)cairn_set_object_fault_handler(NULL);
    return 0;
}

#define NODE_TYPE                                                                                                      \
    .struct_size = sizeof(cairn_type), .name = "node", .size = sizeof(struct node),                                    \
    .reference_offset = offsetof(struct node, to), .reference_count = 1

static const cairn_type node_type = {NODE_TYPE};
static const cairn_type atom_type = {.struct_size = sizeof(cairn_type), .name = "atom", .size = sizeof(struct node)};

static cairn_object *make(const cairn_type *type)
{
    cairn_object *object = cairn_object_new(runtime, type, 0);
    assert_non_null(object);
    return object;
}

static void test_dead_object(void **state)
{
    (void)state;
    cairn_object *keeps_the_pool = make(&node_type);
    cairn_object *object = make(&node_type);
    cairn_decref(object);
    assert_int_equal(faults, 0);
    (void)cairn_incref(object);
    assert_int_equal(faults, 1);
    assert_int_equal(last.kind, CAIRN_FAULT_DEAD);
    assert_ptr_equal(last.object, object);
    assert_ptr_equal(last.runtime, runtime);
    assert_non_null(strstr(text, "cairn: incref: the object is dead: object 0x"));
    cairn_decref(object);
    assert_int_equal(faults, 2);
    assert_int_equal(last.kind, CAIRN_FAULT_DEAD);
    cairn_decref(keeps_the_pool);
    assert_int_equal(faults, 2);
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0); /* nothing was changed */
}

static void test_not_an_object(void **state)
{
    (void)state;
    cairn_object *object = make(&node_type);
    (void)cairn_incref((cairn_object *)(void *)((char *)object + 16));
    assert_int_equal(faults, 1);
    assert_int_equal(last.kind, CAIRN_FAULT_DEAD);
    assert_non_null(strstr(text, "inside a block"));
    void *block = cairn_alloc(cairn_heap_default(), 64);
    memset(block, 0, 64);
    (void)cairn_incref(block);
    assert_int_equal(faults, 2);
    cairn_free(cairn_heap_default(), block);
    cairn_decref(object);
}

static void test_over_release(void **state)
{
    (void)state;
    cairn_runtime_set_deferred(runtime, true);
    cairn_object *object = make(&node_type);
    cairn_decref(object);
    cairn_decref(object); /* queued, not yet swept */
    assert_int_equal(faults, 1);
    assert_int_equal(last.kind, CAIRN_FAULT_OVER_RELEASE);
    assert_non_null(strstr(text, "a reference is given up that nobody had: object"));
    assert_non_null(strstr(text, "type node, dead: queued"));
    assert_int_equal(cairn_runtime_sweep(runtime, 0), 0);
    assert_int_equal(faults, 1);
}

static void visit_twice(cairn_object *self, cairn_visit visit, void *arg)
{
    CAIRN_VISIT(((struct node *)(void *)self)->other);
    CAIRN_VISIT(((struct node *)(void *)self)->other);
}

static void clear_other(cairn_object *self)
{
    cairn_clear(&((struct node *)(void *)self)->other);
}

static void test_traverse_visits_too_often(void **state)
{
    (void)state;
    static const cairn_type wrong = {
        .struct_size = sizeof(cairn_type),
        .name = "wrong",
        .size = sizeof(struct node),
        .traverse = visit_twice,
        .clear = clear_other,
    };
    struct node *node = (struct node *)(void *)make(&wrong);
    cairn_object *target = make(&node_type);
    node->other = target;
    assert_int_equal(cairn_collect(runtime, 2), 0);
    assert_int_equal(faults, 1);
    assert_int_equal(last.kind, CAIRN_FAULT_COUNT);
    assert_ptr_equal(last.object, target);
    assert_non_null(strstr(text, "cairn: collect: more references to the object than its count says"));
    assert_non_null(strstr(text, "type node, count 1"));
    assert_int_not_equal(cairn_runtime_check(runtime, NULL), 0);
    cairn_decref(&node->object);
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
}

static void test_double_track(void **state)
{
    (void)state;
    cairn_object *object = make(&node_type);
    cairn_object_track(object);
    assert_int_equal(faults, 1);
    assert_int_equal(last.kind, CAIRN_FAULT_TRACK);
    assert_non_null(strstr(text, "the object is tracked already"));
    cairn_object *atom = make(&atom_type);
    cairn_object_track(atom);
    assert_int_equal(faults, 2);
    assert_non_null(strstr(text, "the object is no container"));
    cairn_object_untrack(object);
    cairn_object_untrack(object);
    cairn_object_untrack(atom);
    assert_int_equal(faults, 2);
    cairn_decref(object);
    cairn_decref(atom);
}

static cairn_object *escaped;

static void let_escape(cairn_object *self)
{
    self->count++; /* cairn_incref() would report it at once */
    escaped = self;
}

static void test_escape_from_dealloc(void **state)
{
    (void)state;
    static const cairn_type leaky = {NODE_TYPE, .dealloc = let_escape};
    cairn_decref(make(&leaky));
    assert_int_equal(faults, 1);
    assert_int_equal(last.kind, CAIRN_FAULT_ESCAPED);
    assert_ptr_equal(last.object, escaped);
    assert_non_null(strstr(text, "a dealloc function gave a reference away"));
}

static void *touch(void *arg)
{
    (void)cairn_incref(arg);
    return NULL;
}

static void test_without_the_gil(void **state)
{
    (void)state;
    cairn_object *object = make(&node_type);
    pthread_t thread;
    start_thread(&thread, touch, object);
    join_thread(thread);
    assert_int_equal(faults, 1);
    assert_int_equal(last.kind, CAIRN_FAULT_GIL);
    assert_int_equal(cairn_count(object), 1);
    cairn_decref(object);
}

/* Debug builds look at each call; the call does nothing then. */
static void test_calls_without_the_gil(void **state)
{
    (void)state;
#if defined(CAIRN_DEBUG) && CAIRN_DEBUG
    cairn_object *list = cairn_list_new(runtime, NULL, 0);
    cairn_object *object = make(&node_type);
    assert_int_equal(cairn_list_append(list, object), 0); /* there is room for more now */
    struct node *garbage = (struct node *)(void *)make(&node_type);
    cairn_set(&garbage->to, &garbage->object);
    cairn_decref(&garbage->object);
    cairn_gil_release(runtime);
    assert_null(cairn_object_new(runtime, &node_type, 0));
    assert_int_equal(faults, 1);
    assert_int_equal(last.kind, CAIRN_FAULT_GIL);
    assert_string_equal(last.call, "object_new");
    assert_int_equal(cairn_collect(runtime, 2), 0);
    assert_int_equal(faults, 2);
    assert_int_equal(last.kind, CAIRN_FAULT_GIL);
    assert_string_equal(last.call, "collect");
    assert_int_equal(cairn_list_append(list, object), EINVAL);
    assert_int_equal(faults, 3);
    assert_int_equal(last.kind, CAIRN_FAULT_GIL);
    assert_string_equal(last.call, "list_append");
    cairn_gil_acquire(runtime);
    assert_int_equal(cairn_list_size(list), 1);
    assert_int_equal(cairn_count(object), 2);
    assert_int_equal(cairn_collect(runtime, 2), 1);
    cairn_decref(list);
    cairn_decref(object);
    assert_int_equal(faults, 3);
#else
    skip();
#endif
}

/* The check finds what is wrong with counts before a collection does. */
static void test_check_finds_wrong_counts(void **state)
{
    (void)state;
    struct node *a = (struct node *)(void *)make(&node_type);
    struct node *b = (struct node *)(void *)make(&node_type);
    a->to = &b->object; /* not counted */
    b->to = &b->object;
    char report[400] = "";
    FILE *out = fmemopen(report, sizeof report, "w");
    assert_int_equal(cairn_runtime_check(runtime, out), 1);
    (void)fclose(out);
    assert_non_null(strstr(report, "type node, count 1: containers hold more references to it than that"));
    a->to = b->to = NULL;
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    cairn_decref(&a->object);
    cairn_decref(&b->object);
}

/* Every function of the runtime that needs the GIL: without it the fault is reported with the function's name, and
 * nothing is done. */
static cairn_weak *weak;
static cairn_weak_table *table;
static cairn_object *holder; /* referred to weakly, with a reference to `part` */
static cairn_object *part;
static void *block;
static cairn_cache cache = {.name = "test"};

static void never(cairn_runtime *of, const cairn_collector_info *info, void *arg)
{
    (void)of, (void)info, (void)arg;
    fail();
}

static void never_told(cairn_runtime *of, const char *message, cairn_object *object, void *arg)
{
    (void)of, (void)message, (void)object, (void)arg;
    fail();
}

static bool never_visit(cairn_object *object, void *arg)
{
    (void)object, (void)arg;
    fail();
    return true;
}

static void never_visited(cairn_object *object, void *arg)
{
    (void)never_visit(object, arg);
}

static bool never_a_cache(const cairn_cache *of, void *arg)
{
    (void)of, (void)arg;
    fail();
    return true;
}

static bool never_an_entry(cairn_object *key, cairn_object *value, void *arg)
{
    (void)value;
    return never_visit(key, arg);
}

static const unsigned thresholds[3] = {1, 1, 1};

/* A call that returns nothing, and one whose result is what it must be. */
#define CALL(name, call)                                                                                               \
    static bool call_##name(void)                                                                                      \
    {                                                                                                                  \
        call;                                                                                                          \
        return true;                                                                                                   \
    }
#define CALL_THAT(name, condition)                                                                                     \
    static bool call_##name(void)                                                                                      \
    {                                                                                                                  \
        return condition;                                                                                              \
    }

CALL_THAT(runtime_alloc, !cairn_runtime_alloc(runtime, 100) && errno == EINVAL)
CALL_THAT(runtime_calloc, !cairn_runtime_calloc(runtime, 10, 10) && errno == EINVAL)
CALL_THAT(runtime_realloc, !cairn_runtime_realloc(runtime, block, 100000) && errno == EINVAL)
CALL(runtime_free, cairn_runtime_free(runtime, block))
CALL_THAT(runtime_sweep, cairn_runtime_sweep(runtime, 0) == 0)
CALL(runtime_set_deferred, cairn_runtime_set_deferred(runtime, false))
CALL(runtime_poll, cairn_runtime_poll_slow(runtime))
CALL_THAT(object_trim, cairn_object_trim(runtime) == 0)
CALL(runtime_set_user, cairn_runtime_set_user(runtime, block))
CALL(set_unraisable, cairn_set_unraisable(runtime, NULL, NULL))
CALL(unraisable, cairn_unraisable(runtime, "not to be told", NULL))
CALL_THAT(runtime_check, cairn_runtime_check(runtime, NULL) == 1)
CALL_THAT(runtime_visit_objects, !cairn_runtime_visit_objects(runtime, never_visit, NULL))
CALL_THAT(runtime_visit_caches, !cairn_runtime_visit_caches(runtime, never_a_cache, NULL))
CALL_THAT(runtime_print_stats, cairn_runtime_print_stats(runtime, stderr) == EINVAL)
CALL_THAT(runtime_print_stats_json, cairn_runtime_print_stats_json(runtime, stderr) == EINVAL)
CALL_THAT(runtime_destroy, cairn_runtime_destroy_checked(runtime, NULL, NULL) == EINVAL)
CALL(cache_add, cairn_cache_add(runtime, &cache))
CALL_THAT(object_new, !cairn_object_new(runtime, &node_type, 0) && errno == EINVAL)
CALL(decref, holder->count--; cairn_object_dealloc(holder)) /* as in programs that do not check every count */
CALL(object_track, cairn_object_track(holder))
CALL(make_immortal, cairn_object_make_immortal(holder))
CALL(object_visit_referents, cairn_object_visit_referents(holder, never_visited, NULL))
CALL_THAT(collect, cairn_collect(runtime, 2) == 0)
CALL_THAT(collector_step, !cairn_collector_step(runtime))
CALL(collector_set_step, cairn_collector_set_step(runtime, 1))
CALL(collector_enable, cairn_collector_enable(runtime))
CALL(collector_disable, cairn_collector_disable(runtime))
CALL_THAT(collector_set_threshold, cairn_collector_set_threshold(runtime, thresholds, 3) == EINVAL)
CALL(collector_set_debug, cairn_collector_set_debug(runtime, CAIRN_COLLECTOR_LEAK))
CALL(collector_set_output, cairn_collector_set_output(runtime, stdout))
CALL_THAT(collector_add_callback, cairn_collector_add_callback(runtime, never, NULL) == EINVAL)
CALL_THAT(collector_remove_callback, cairn_collector_remove_callback(runtime, never, NULL) == EINVAL)
CALL(collector_garbage_clear, cairn_collector_garbage_clear(runtime))
CALL(collector_freeze, cairn_collector_freeze(runtime))
CALL(collector_unfreeze, cairn_collector_unfreeze(runtime))
CALL_THAT(collector_visit_objects, !cairn_collector_visit_objects(runtime, -1, never_visit, NULL))
CALL_THAT(collector_visit_referrers, !cairn_collector_visit_referrers(runtime, part, never_visit, NULL))
CALL_THAT(weak_new, !cairn_weak_new(holder, NULL, NULL) && errno == EINVAL)
CALL_THAT(weak_get, !cairn_weak_get(weak))
CALL(weak_clear, cairn_weak_clear(weak))
CALL_THAT(weak_table_set, cairn_weak_table_set(table, part, holder) == EINVAL)
CALL_THAT(weak_table_find, !cairn_weak_table_find(table, 0, never_visit, NULL))
CALL_THAT(weak_table_remove, cairn_weak_table_remove(table, holder) == EINVAL)
CALL_THAT(weak_table_visit, !cairn_weak_table_visit(table, never_an_entry, NULL))

static const struct needing_gil {
    const char *name;
    bool (*call)(void);
} needing_gil[] = {
#define ROW(name)                                                                                                      \
    {                                                                                                                  \
#name, call_##name                                                                                             \
    }
    ROW(runtime_alloc),
    ROW(runtime_calloc),
    ROW(runtime_realloc),
    ROW(runtime_free),
    ROW(runtime_sweep),
    ROW(runtime_set_deferred),
    ROW(runtime_poll),
    ROW(object_trim),
    ROW(runtime_set_user),
    ROW(set_unraisable),
    ROW(unraisable),
    ROW(runtime_check),
    ROW(runtime_visit_objects),
    ROW(runtime_visit_caches),
    ROW(runtime_print_stats),
    ROW(runtime_print_stats_json),
    ROW(runtime_destroy),
    ROW(cache_add),
    ROW(object_new),
    ROW(decref),
    ROW(object_track),
    ROW(make_immortal),
    ROW(object_visit_referents),
    ROW(collect),
    ROW(collector_step),
    ROW(collector_set_step),
    ROW(collector_enable),
    ROW(collector_disable),
    ROW(collector_set_threshold),
    ROW(collector_set_debug),
    ROW(collector_set_output),
    ROW(collector_add_callback),
    ROW(collector_remove_callback),
    ROW(collector_garbage_clear),
    ROW(collector_freeze),
    ROW(collector_unfreeze),
    ROW(collector_visit_objects),
    ROW(collector_visit_referrers),
    ROW(weak_new),
    ROW(weak_get),
    ROW(weak_clear),
    ROW(weak_table_set),
    ROW(weak_table_find),
    ROW(weak_table_remove),
    ROW(weak_table_visit),
};

struct watched_node {
    struct node node;
    cairn_weak *weak_list;
};

static const cairn_type watched_type = {.struct_size = sizeof(cairn_type),
                                        .name = "watched",
                                        .size = sizeof(struct watched_node),
                                        .reference_offset = offsetof(struct node, to),
                                        .reference_count = 1,
                                        .weak_offset = offsetof(struct watched_node, weak_list)};

static void make_what_is_called(void)
{
    holder = make(&watched_type);
    part = make(&node_type);
    cairn_set(&((struct node *)(void *)holder)->to, part);
    weak = cairn_weak_new(holder, NULL, NULL);
    table = cairn_weak_table_new(runtime, CAIRN_WEAK_KEYS);
    assert_int_equal(cairn_weak_table_set(table, holder, part), 0);
    block = cairn_runtime_alloc(runtime, 100);
    assert_true(weak && block);
    cairn_set_unraisable(runtime, never_told, NULL);
    cairn_decref(make(&node_type)); /* before it is deferred */
    cairn_runtime_set_deferred(runtime, true);
    cairn_decref(make(&node_type));
}

static size_t queued(void)
{
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    return stats.queued;
}

/* All is as it was made. */
static void nothing_was_done(const char *call)
{
    unsigned now[3];
    cairn_collector_get_threshold(runtime, now);
    assert_true(now[0] == 2000 && now[1] == 10 && now[2] == 10);
    if (queued() != 1 || cairn_count(holder) != 1 || cairn_count(part) != 3) {
        fail_msg("%s: %zu queued, counts %d and %d", call, queued(), (int)cairn_count(holder), (int)cairn_count(part));
    }
    assert_false(cairn_collector_is_enabled(runtime));
    assert_int_equal(cairn_collector_get_debug(runtime), 0);
    assert_int_equal(cairn_collector_freeze_count(runtime), 0);
    assert_null(cairn_runtime_user(runtime));
    assert_int_equal(cairn_weak_table_count(table), 1);
    assert_true(weak->referent == holder && cairn_weak_count(holder) == 2);
    cairn_step_stats steps;
    cairn_collector_get_step_stats(runtime, &steps);
    assert_int_equal(steps.steps, 0);
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
}

static void test_each_call_without_the_gil_does_nothing(void **state)
{
    (void)state;
#if defined(CAIRN_DEBUG) && CAIRN_DEBUG
    make_what_is_called();
    for (size_t i = 0; i < COUNT_OF(needing_gil); i++) {
        cairn_gil_release(runtime);
        faults = 0;
        errno = 0;
        bool as_told = needing_gil[i].call();
        if (!as_told || faults != 1 || last.kind != CAIRN_FAULT_GIL || strcmp(last.call, needing_gil[i].name) != 0) {
            fail_msg("%s: %s, %u faults, of %s", needing_gil[i].name, as_told ? "well" : "another result", faults,
                     faults ? last.call : "none");
        }
        cairn_gil_acquire(runtime);
        nothing_was_done(needing_gil[i].name);
    }
    faults = 0;
    assert_int_equal(cairn_runtime_sweep(runtime, 0), 0);
    cairn_runtime_set_deferred(runtime, false);
    cairn_set_unraisable(runtime, NULL, NULL);
    cairn_runtime_free(runtime, block);
    cairn_decref((cairn_object *)(void *)table);
    cairn_decref(&weak->object);
    cairn_decref(holder);
    cairn_decref(part);
    assert_int_equal(faults, 0);
#else
    (void)needing_gil;
    (void)make_what_is_called;
    (void)nothing_was_done;
    skip();
#endif
}

/* ---- without a handler ---- */

static void use_dead(void)
{
    cairn_object *object = make(&node_type);
    (void)make(&node_type); /* keeps the pool */
    cairn_decref(object);
    (void)cairn_incref(object);
}

static void release_twice(void)
{
    cairn_runtime_set_deferred(runtime, true);
    cairn_object *object = make(&node_type);
    cairn_decref(object);
    cairn_decref(object);
}

static void count_too_few(void)
{
    struct node *node = (struct node *)(void *)make(&node_type);
    cairn_object *target = make(&node_type);
    struct node *other = (struct node *)(void *)make(&node_type);
    node->to = other->to = target; /* not counted */
    (void)cairn_collect(runtime, 2);
}

static void track_atom(void)
{
    cairn_object_track(make(&atom_type));
}

static void acquire_twice(void)
{
    cairn_gil_acquire(runtime);
}

static void append_to_node(void)
{
    cairn_object *object = make(&node_type);
    (void)cairn_list_append(object, object);
}

static void escape(void)
{
    static const cairn_type leaky = {NODE_TYPE, .dealloc = let_escape};
    cairn_decref(make(&leaky));
}

#if defined(CAIRN_DEBUG) && CAIRN_DEBUG
static void alloc_without_gil(void)
{
    cairn_gil_release(runtime);
    (void)!cairn_runtime_alloc(runtime, 100);
    cairn_gil_acquire(runtime);
}
#endif

static const struct fatal {
    cairn_object_fault_kind kind;
    void (*commit)(void);
    const char *line; /* its start */
} fatal[] = {
    {CAIRN_FAULT_DEAD, use_dead, "cairn: incref: the object is dead: object 0x"},
    {CAIRN_FAULT_OVER_RELEASE, release_twice, "cairn: decref: a reference is given up that nobody had: object 0x"},
    {CAIRN_FAULT_COUNT, count_too_few, "cairn: collect: more references to the object than its count says: "},
    {CAIRN_FAULT_TRACK, track_atom, "cairn: object_track: the object is no container: object 0x"},
    {CAIRN_FAULT_GIL, acquire_twice, "cairn: gil_acquire: the calling thread holds the GIL already\n"},
#if defined(CAIRN_DEBUG) && CAIRN_DEBUG
    {CAIRN_FAULT_GIL, alloc_without_gil, "cairn: runtime_alloc: the calling thread does not hold the runtime's GIL\n"},
#endif
    {CAIRN_FAULT_TYPE, append_to_node, "cairn: list_append: an object of type list is needed: object 0x"},
    {CAIRN_FAULT_ESCAPED, escape, "cairn: dealloc: a dealloc function gave a reference away: object 0x"},
};

/* In a child: the fault with stderr in the pipe. Does not return. */
static void commit_in_child(const struct fatal *fault, int to)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(SIGABRT, SIG_DFL); /* cmocka has a handler of its own */
    (void)cairn_set_object_fault_handler(NULL);
    if (dup2(to, STDERR_FILENO) == STDERR_FILENO) {
        fault->commit();
    }
    _exit(0);
}

static void read_all(int from, char *into, size_t size)
{
    size_t length = 0;
    ssize_t more;
    while (length < size - 1 && (more = read(from, into + length, size - 1 - length)) > 0) {
        length += (size_t)more;
    }
    into[length] = 0;
}

/* The default handler writes one line and aborts, whatever the fault is. */
static void test_default_handler_aborts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fatal); i++) {
        fatal[i].commit(); /* is that fault, and no other */
        assert_int_equal(faults, 1);
        assert_int_equal(last.kind, fatal[i].kind);
        (void)tear_down(NULL);
        (void)set_up(NULL);
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            commit_in_child(&fatal[i], ends[1]);
        }
        (void)close(ends[1]);
        char line[1024];
        read_all(ends[0], line, sizeof line);
        (void)close(ends[0]);
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        assert_memory_equal(line, fatal[i].line, strlen(fatal[i].line));
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_dead_object),
        TEST(test_not_an_object),
        TEST(test_over_release),
        TEST(test_traverse_visits_too_often),
        TEST(test_double_track),
        TEST(test_escape_from_dealloc),
        TEST(test_without_the_gil),
        TEST(test_check_finds_wrong_counts),
        TEST(test_calls_without_the_gil),
        TEST(test_each_call_without_the_gil_does_nothing),
        TEST(test_default_handler_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
