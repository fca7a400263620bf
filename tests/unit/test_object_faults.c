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
        TEST(test_dead_object),           TEST(test_not_an_object),
        TEST(test_over_release),          TEST(test_traverse_visits_too_often),
        TEST(test_double_track),          TEST(test_escape_from_dealloc),
        TEST(test_without_the_gil),       TEST(test_check_finds_wrong_counts),
        TEST(test_calls_without_the_gil), TEST(test_default_handler_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
