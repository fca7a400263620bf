/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_weakref.c: weak references, their callbacks, finalizers from outside, weak tables. */

#include <errno.h>
#include <string.h>

#include "cairn_object.h"
#include "support/os_fake.h"
#include "support/test.h"

struct node {
    cairn_object object;
    cairn_object *to, *other;
    cairn_weak *weak_list;
    uint64_t value;
};

static cairn_runtime *runtime;
static unsigned died;

static void note_death(cairn_object *self)
{
    (void)self;
    died++;
}

static bool hash_value(cairn_object *self, uint64_t *hash)
{
    *hash = ((struct node *)(void *)self)->value;
    return *hash != 13; /* which cannot be hashed */
}

static bool equal_value(cairn_object *a, cairn_object *b)
{
    return ((struct node *)(void *)a)->value == ((struct node *)(void *)b)->value;
}

#define NODE_TYPE                                                                                                      \
    .struct_size = sizeof(cairn_type), .name = "node", .size = sizeof(struct node),                                    \
    .reference_offset = offsetof(struct node, to), .reference_count = 2,                                               \
    .weak_offset = offsetof(struct node, weak_list), .hash = hash_value, .equal = equal_value, .dealloc = note_death

static const cairn_type node_type = {NODE_TYPE};

static const cairn_type plain_type = {
    .struct_size = sizeof(cairn_type),
    .name = "plain",
    .size = sizeof(cairn_object),
};

static int set_up(void **state)
{
    (void)state;
    runtime = cairn_runtime_create(NULL);
    cairn_collector_disable(runtime);
    died = 0;
    return runtime ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    size_t faults = cairn_runtime_check(runtime, stderr);
    cairn_runtime_end end;
    int error = cairn_runtime_destroy_checked(runtime, stderr, &end);
    return faults || error || end.kept_objects || end.kept_blocks ? -1 : 0;
}

static struct node *make_of(const cairn_type *type, uint64_t value)
{
    struct node *node = (struct node *)(void *)cairn_object_new(runtime, type, 0);
    assert_non_null(node);
    node->value = value;
    return node;
}

static struct node *make(uint64_t value)
{
    return make_of(&node_type, value);
}

static void drop(struct node *node)
{
    cairn_decref(&node->object);
}

/* ---- one referent, many references ---- */

static unsigned called;
static cairn_weak *call_order[8];

static void note_call(cairn_weak *weak, cairn_object *context)
{
    (void)context;
    require(cairn_weak_is_dead(weak));
    require(!cairn_weak_has_callback(weak));
    call_order[called++] = weak;
}

static void test_shared_and_not(void **state)
{
    (void)state;
    struct node *node = make(1);
    cairn_weak *one = cairn_weak_new(&node->object, NULL, NULL);
    cairn_weak *two = cairn_weak_new(&node->object, NULL, NULL);
    assert_ptr_equal(one, two);
    assert_int_equal(cairn_count(&one->object), 2);
    cairn_weak *three = cairn_weak_new(&node->object, note_call, NULL);
    cairn_weak *four = cairn_weak_new(&node->object, note_call, NULL);
    assert_ptr_not_equal(three, four);
    assert_int_equal(cairn_weak_count(&node->object), 3);
    cairn_weak *expected[] = {one, four, three, NULL};
    for (size_t i = 0; i < 4; i++) {
        cairn_weak *weak = cairn_weak_at(&node->object, i);
        assert_ptr_equal(weak, expected[i]);
        if (weak) {
            cairn_decref(&weak->object);
        }
    }
    cairn_object *got = cairn_weak_get(one);
    assert_ptr_equal(got, &node->object);
    cairn_decref(got);
    assert_int_equal(cairn_count(&node->object), 1);
    assert_true(cairn_weak_has_callback(four));
    assert_false(cairn_weak_has_callback(one));
    cairn_decref(&two->object);
    cairn_decref(&one->object);
    assert_int_equal(cairn_weak_count(&node->object), 2);
    called = 0;
    drop(node);
    assert_int_equal(called, 2);
    assert_ptr_equal(call_order[0], four); /* the newest first */
    assert_ptr_equal(call_order[1], three);
    assert_null(cairn_weak_get(three));
    cairn_decref(&three->object);
    cairn_decref(&four->object);
}

static void test_dead_before_its_referent(void **state)
{
    (void)state;
    struct node *node = make(1);
    called = 0;
    cairn_weak *gone = cairn_weak_new(&node->object, note_call, NULL);
    cairn_decref(&gone->object);
    cairn_weak *cleared = cairn_weak_new(&node->object, note_call, NULL);
    cairn_weak_clear(cleared);
    assert_true(cairn_weak_is_dead(cleared));
    drop(node);
    assert_int_equal(called, 0);
    cairn_decref(&cleared->object);
}

static void test_unsupported(void **state)
{
    (void)state;
    cairn_object *plain = cairn_object_new(runtime, &plain_type, 0);
    assert_null(cairn_weak_new(plain, NULL, NULL));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(cairn_weak_count(plain), 0);
    assert_null(cairn_weak_at(plain, 0));
    struct node *node = make(1);
    assert_null(cairn_weak_new(&node->object, NULL, plain));
    assert_int_equal(errno, EINVAL);
    drop(node);
    cairn_decref(plain);
}

static void test_equality_and_hash(void **state)
{
    (void)state;
    struct node *a = make(5), *b = make(5), *c = make(13);
    cairn_weak *wa = cairn_weak_new(&a->object, NULL, NULL);
    cairn_weak *wb = cairn_weak_new(&b->object, NULL, NULL);
    cairn_weak *wc = cairn_weak_new(&c->object, NULL, NULL);
    uint64_t hash;
    assert_true(cairn_weak_equal(wa, wb));
    assert_true(cairn_object_equal(&wa->object, &wb->object));
    assert_int_equal(cairn_weak_hash(wa, &hash), 0);
    assert_int_equal(hash, 5);
    assert_int_equal(cairn_weak_hash(wc, &hash), EINVAL);
    drop(a);
    assert_false(cairn_weak_equal(wa, wb));
    assert_true(cairn_weak_equal(wa, wa));
    hash = 0;
    assert_int_equal(cairn_weak_hash(wa, &hash), 0); /* remembered */
    assert_int_equal(hash, 5);
    drop(b);
    assert_int_equal(cairn_weak_hash(wb, &hash), ENOENT);
    char text[80], expected[80];
    (void)snprintf(expected, sizeof expected, "<weakref at %p; dead>", (void *)wa);
    (void)cairn_object_repr(&wa->object, text, sizeof text);
    assert_string_equal(text, expected);
    (void)snprintf(expected, sizeof expected, "<weakref at %p; to 'node' at %p>", (void *)wc, (void *)c);
    (void)cairn_object_repr(&wc->object, text, sizeof text);
    assert_string_equal(text, expected);
    drop(c);
    cairn_decref(&wa->object);
    cairn_decref(&wb->object);
    cairn_decref(&wc->object);
}

static void double_value(cairn_object *referent, void *arg)
{
    (void)arg;
    ((struct node *)(void *)referent)->value *= 2;
}

static void test_proxy_call(void **state)
{
    (void)state;
    struct node *node = make(4);
    cairn_weak *weak = cairn_weak_new(&node->object, NULL, NULL);
    assert_int_equal(cairn_weak_call(weak, double_value, NULL), 0);
    assert_int_equal(node->value, 8);
    drop(node);
    assert_int_equal(cairn_weak_call(weak, double_value, NULL), ENOENT);
    assert_string_equal(cairn_runtime_error(runtime), "weakly-referenced object no longer exists");
    cairn_decref(&weak->object);
}

/* ---- order of death ---- */

static cairn_weak *watched;
static char story[64];

static void tell(const char *what)
{
    (void)strncat(story, what, sizeof story - strlen(story) - 1);
}

static void tell_callback(cairn_weak *weak, cairn_object *context)
{
    (void)weak;
    (void)context;
    tell("callback ");
}

static cairn_object *saved;

static void tell_finalize(cairn_object *self)
{
    tell(cairn_weak_is_dead(watched) ? "finalize(dead) " : "finalize(alive) ");
    if (((struct node *)(void *)self)->value) {
        cairn_set(&saved, self);
    }
}

static void tell_death(cairn_object *self)
{
    (void)self;
    tell("dealloc ");
}

static const cairn_type telling_type = {
    .struct_size = sizeof(cairn_type),
    .name = "telling node",
    .size = sizeof(struct node),
    .reference_offset = offsetof(struct node, to),
    .reference_count = 2,
    .weak_offset = offsetof(struct node, weak_list),
    .finalize = tell_finalize,
    .dealloc = tell_death,
};

static void test_order_by_count(void **state)
{
    (void)state;
    story[0] = 0;
    struct node *node = make_of(&telling_type, 0);
    watched = cairn_weak_new(&node->object, tell_callback, NULL);
    drop(node);
    assert_string_equal(story, "finalize(alive) callback dealloc ");
    cairn_decref(&watched->object);
}

static void test_order_by_collector(void **state)
{
    (void)state;
    story[0] = 0;
    struct node *node = make_of(&telling_type, 0);
    watched = cairn_weak_new(&node->object, tell_callback, NULL);
    cairn_set(&node->to, &node->object);
    drop(node);
    assert_int_equal(cairn_collect(runtime, 2), 1);
    assert_string_equal(story, "callback finalize(dead) dealloc ");
    cairn_decref(&watched->object);
}

static void test_resurrection_by_count_keeps_weak(void **state)
{
    (void)state;
    story[0] = 0;
    struct node *node = make_of(&telling_type, 1);
    watched = cairn_weak_new(&node->object, tell_callback, NULL);
    drop(node);
    assert_string_equal(story, "finalize(alive) ");
    assert_false(cairn_weak_is_dead(watched));
    cairn_clear(&saved);
    assert_string_equal(story, "finalize(alive) callback dealloc ");
    cairn_decref(&watched->object);
}

static void test_resurrection_by_collector_leaves_weak_dead(void **state)
{
    (void)state;
    story[0] = 0;
    struct node *node = make_of(&telling_type, 1);
    watched = cairn_weak_new(&node->object, tell_callback, NULL);
    cairn_set(&node->to, &node->object);
    drop(node);
    assert_int_equal(cairn_collect(runtime, 2), 0); /* resurrected ones are not counted */
    assert_string_equal(story, "callback finalize(dead) ");
    assert_true(cairn_weak_is_dead(watched));
    cairn_clear(&saved);
    assert_int_equal(cairn_collect(runtime, 2), 1);
    assert_string_equal(story, "callback finalize(dead) dealloc ");
    cairn_decref(&watched->object);
}

/* A weak reference made by a finalizer to what dies is cleared without its callback. */
static cairn_weak *made_late;

static void make_weak(cairn_object *self)
{
    made_late = cairn_weak_new(self, tell_callback, NULL);
}

static void test_weak_made_by_a_finalizer(void **state)
{
    (void)state;
    cairn_type type = telling_type;
    type.finalize = make_weak;
    story[0] = 0;
    struct node *node = make_of(&type, 0);
    cairn_set(&node->to, &node->object);
    drop(node);
    assert_int_equal(cairn_collect(runtime, 2), 1);
    assert_string_equal(story, "dealloc ");
    assert_true(cairn_weak_is_dead(made_late));
    cairn_decref(&made_late->object);
    /* At death by count it is alive until the finalizer returns, and then calls back. */
    story[0] = 0;
    drop(make_of(&type, 0));
    assert_string_equal(story, "callback dealloc ");
    assert_true(cairn_weak_is_dead(made_late));
    cairn_decref(&made_late->object);
}

/* ---- weak references in cycles ---- */

static void hold(struct node *node, cairn_object *object)
{
    cairn_set_steal(&node->other, object);
}

static void test_trash_does_not_call_back(void **state)
{
    (void)state;
    called = 0;
    struct node *a = make(1), *b = make(2);
    cairn_set(&a->to, &b->object);
    cairn_set(&b->to, &a->object);
    cairn_weak *weak = cairn_weak_new(&b->object, note_call, &a->object);
    hold(a, &weak->object); /* found dead together with its referent */
    drop(a);
    drop(b);
    assert_int_equal(cairn_collect(runtime, 2), 3);
    assert_int_equal(called, 0);
    assert_int_equal(died, 2);
}

static void test_trash_without_context_does_not_call_back(void **state)
{
    (void)state;
    called = 0;
    struct node *a = make(1);
    cairn_set(&a->to, &a->object);
    hold(a, &cairn_weak_new(&a->object, note_call, NULL)->object);
    drop(a);
    assert_int_equal(cairn_collect(runtime, 2), 2);
    assert_int_equal(called, 0);
    assert_int_equal(died, 1);
}

static void test_trash_weak_to_the_living(void **state)
{
    (void)state;
    called = 0;
    struct node *a = make(1), *alive = make(2);
    cairn_set(&a->to, &a->object);
    hold(a, &cairn_weak_new(&alive->object, note_call, &a->object)->object);
    drop(a);
    assert_int_equal(cairn_collect(runtime, 2), 2);
    assert_int_equal(cairn_weak_count(&alive->object), 0);
    drop(alive);
    assert_int_equal(called, 0);
}

static void collect_in_callback(cairn_weak *weak, cairn_object *context)
{
    (void)weak;
    (void)context;
    called++;
    assert_int_equal(cairn_collect(runtime, 2), 0);
}

static void test_callback_may_collect(void **state)
{
    (void)state;
    called = 0;
    struct node *node = make(1);
    cairn_set(&node->to, &node->object);
    cairn_weak *weak = cairn_weak_new(&node->object, collect_in_callback, NULL);
    drop(node);
    assert_int_equal(cairn_collect(runtime, 2), 1);
    assert_int_equal(called, 1);
    cairn_decref(&weak->object);
    /* A collection inside a death by count does not see the dying object. */
    node = make(1);
    weak = cairn_weak_new(&node->object, collect_in_callback, NULL);
    drop(node);
    assert_int_equal(called, 2);
    assert_int_equal(died, 2);
    cairn_decref(&weak->object);
}

static void test_context_is_counted(void **state)
{
    (void)state;
    called = 0;
    struct node *node = make(1), *context = make(2);
    cairn_weak *weak = cairn_weak_new(&node->object, note_call, &context->object);
    drop(context);
    assert_int_equal(died, 0);
    drop(node);
    assert_int_equal(called, 1);
    assert_int_equal(died, 2);
    cairn_decref(&weak->object);
}

/* ---- finalizers from outside ---- */

static void add_digit(void *arg)
{
    tell((const char *)arg);
}

static void test_finalizers(void **state)
{
    (void)state;
    static char one[] = "1", two[] = "2", three[] = "3";
    story[0] = 0;
    struct node *node = make(1);
    cairn_finalizer *a = cairn_finalizer_add(&node->object, add_digit, one, false);
    cairn_finalizer *b = cairn_finalizer_add(&node->object, add_digit, two, false);
    cairn_finalizer *c = cairn_finalizer_add(&node->object, add_digit, three, false);
    assert_true(cairn_finalizer_is_alive(b));
    assert_true(cairn_finalizer_detach(runtime, b));
    assert_false(cairn_finalizer_is_alive(b));
    assert_false(cairn_finalizer_call(runtime, b));
    drop(node);
    assert_string_equal(story, "31"); /* the newest first */
    assert_false(cairn_finalizer_is_alive(a));
    assert_false(cairn_finalizer_detach(runtime, c));
    cairn_decref((cairn_object *)(void *)a);
    cairn_decref((cairn_object *)(void *)b);
    cairn_decref((cairn_object *)(void *)c);
    node = make(1);
    a = cairn_finalizer_add(&node->object, add_digit, two, true);
    assert_true(cairn_finalizer_call(runtime, a));
    assert_string_equal(story, "312");
    cairn_decref((cairn_object *)(void *)a);
    drop(node);
    assert_string_equal(story, "312");
    cairn_object *plain = cairn_object_new(runtime, &plain_type, 0);
    assert_null(cairn_finalizer_add(plain, add_digit, one, true));
    cairn_decref(plain);
}

static void test_finalizers_at_the_end(void **state)
{
    (void)state;
    static char one[] = "1", two[] = "2", three[] = "3";
    story[0] = 0;
    cairn_runtime *old = runtime;
    runtime = cairn_runtime_create(NULL);
    struct node *node = make(1);
    cairn_decref((cairn_object *)(void *)cairn_finalizer_add(&node->object, add_digit, one, true));
    cairn_decref((cairn_object *)(void *)cairn_finalizer_add(&node->object, add_digit, two, false));
    cairn_decref((cairn_object *)(void *)cairn_finalizer_add(&node->object, add_digit, three, true));
    cairn_runtime_destroy(runtime);
    runtime = old;
    assert_string_equal(story, "31");
}

/* ---- tables ---- */

static cairn_weak_table *table;

static void put(struct node *key, struct node *value)
{
    assert_int_equal(cairn_weak_table_set(table, &key->object, &value->object), 0);
}

static uint64_t value_of(struct node *key)
{
    struct node *value = (struct node *)(void *)cairn_weak_table_get(table, &key->object);
    if (!value) {
        return 0;
    }
    uint64_t number = value->value;
    drop(value);
    return number;
}

static void test_table_of_weak_keys(void **state)
{
    (void)state;
    table = cairn_weak_table_new(runtime, CAIRN_WEAK_KEYS);
    struct node *a = make(1), *b = make(2), *x = make(10), *same = make(1), *none = make(13);
    put(a, x);
    put(b, x);
    put(same, b); /* replaces the value, keeps the key */
    assert_int_equal(cairn_weak_table_count(table), 2);
    assert_int_equal(value_of(a), 2);
    assert_int_equal(cairn_weak_table_set(table, &none->object, &x->object), EINVAL);
    drop(same);
    drop(none);
    assert_int_equal(cairn_weak_table_count(table), 2);
    drop(a); /* and with it the reference to b */
    assert_int_equal(cairn_weak_table_count(table), 1);
    assert_int_equal(cairn_count(&b->object), 1);
    assert_int_equal(cairn_weak_table_remove(table, &b->object), 0);
    assert_int_equal(cairn_weak_table_remove(table, &b->object), ENOENT);
    assert_int_equal(cairn_count(&x->object), 1);
    put(b, x);
    cairn_decref((cairn_object *)(void *)table);
    assert_int_equal(cairn_count(&x->object), 1);
    drop(b);
    drop(x);
    assert_null(cairn_weak_table_new(runtime, 0));
    assert_int_equal(errno, EINVAL);
}

static bool match_value(cairn_object *key, void *arg)
{
    return ((struct node *)(void *)key)->value == *(uint64_t *)arg;
}

static void test_table_of_weak_values(void **state)
{
    (void)state;
    table = cairn_weak_table_new(runtime, CAIRN_WEAK_VALUES);
    struct node *nodes[200];
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        struct node *key = make(i + 100);
        nodes[i] = make(i + 1);
        put(key, nodes[i]);
        drop(key);
    }
    assert_int_equal(cairn_weak_table_count(table), 200);
    assert_int_equal(died, 0);
    for (size_t i = 0; i < COUNT_OF(nodes); i += 2) {
        drop(nodes[i]);
    }
    assert_int_equal(cairn_weak_table_count(table), 100);
    assert_int_equal(died, 200); /* 100 values, and their keys */
    for (uint64_t i = 0; i < COUNT_OF(nodes); i++) {
        uint64_t key = i + 100;
        struct node *found = (struct node *)(void *)cairn_weak_table_find(table, key, match_value, &key);
        assert_int_equal(found != NULL, i % 2);
        if (found) {
            assert_ptr_equal(found, nodes[i]);
            drop(found);
        }
    }
    for (size_t i = 1; i < COUNT_OF(nodes); i += 2) {
        drop(nodes[i]);
    }
    assert_int_equal(cairn_weak_table_count(table), 0);
    cairn_decref((cairn_object *)(void *)table);
}

struct visiting {
    struct node *nodes[20];
    size_t seen;
};

static bool drop_while_visiting(cairn_object *key, cairn_object *value, void *arg)
{
    (void)value;
    struct visiting *visiting = arg;
    size_t i = (size_t)((struct node *)(void *)key)->value - 100;
    visiting->seen++;
    if (i + 1 < 20 && visiting->nodes[i + 1]) { /* the next one dies before it is seen */
        drop(visiting->nodes[i + 1]);
        visiting->nodes[i + 1] = NULL;
    }
    struct node *added = make(i + 1000);
    put(added, added);
    drop(added);
    return visiting->seen < 100;
}

static void test_table_changes_while_visited(void **state)
{
    (void)state;
    table = cairn_weak_table_new(runtime, CAIRN_WEAK_KEYS | CAIRN_WEAK_VALUES);
    struct visiting visiting = {.seen = 0};
    for (size_t i = 0; i < 20; i++) {
        visiting.nodes[i] = make(i + 100);
        put(visiting.nodes[i], visiting.nodes[i]);
    }
    assert_true(cairn_weak_table_visit(table, drop_while_visiting, &visiting));
    assert_int_equal(visiting.seen, 10);
    assert_int_equal(cairn_weak_table_count(table), 10);
    for (size_t i = 0; i < 20; i++) {
        cairn_xdecref(visiting.nodes[i] ? &visiting.nodes[i]->object : NULL);
    }
    assert_int_equal(cairn_weak_table_count(table), 0);
    cairn_decref((cairn_object *)(void *)table);
}

static void test_table_in_a_cycle(void **state)
{
    (void)state;
    table = cairn_weak_table_new(runtime, CAIRN_WEAK_KEYS);
    struct node *key = make(1), *value = make(2);
    put(key, value);
    cairn_set(&value->to, (cairn_object *)(void *)table);
    cairn_set(&key->to, &key->object);
    drop(value);
    cairn_decref((cairn_object *)(void *)table);
    drop(key);
    (void)cairn_collect(runtime, 2);
    (void)cairn_collect(runtime, 2);
    assert_int_equal(died, 2);
}

/* Random operations against an array. */
static void test_table_random(void **state)
{
    (void)state;
    enum { KEYS = 40 };
    uint64_t random = test_seed();
    for (unsigned weak = 1; weak <= 3; weak++) {
        table = cairn_weak_table_new(runtime, weak);
        struct node *keys[KEYS] = {0}, *values[KEYS] = {0};
        bool in[KEYS] = {0};
        for (size_t step = 0; step < test_scaled(20000); step++) {
            size_t i = random_below(&random, KEYS);
            switch (random_below(&random, 4)) {
            case 0:
            case 1:
                if (!keys[i]) {
                    keys[i] = make(i * 64 + 1); /* hashes that collide in small tables */
                    values[i] = make(i + 1);
                }
                put(keys[i], values[i]);
                in[i] = true;
                break;
            case 2:
                if (keys[i]) {
                    assert_int_equal(cairn_weak_table_remove(table, &keys[i]->object), in[i] ? 0 : ENOENT);
                    in[i] = false;
                }
                break;
            default:
                if (keys[i]) {
                    assert_int_equal(value_of(keys[i]), in[i] ? i + 1 : 0);
                    drop(keys[i]);
                    drop(values[i]);
                    keys[i] = values[i] = NULL;
                    in[i] = false;
                }
                break;
            }
            size_t count = 0;
            for (size_t k = 0; k < KEYS; k++) {
                count += in[k];
            }
            assert_int_equal(cairn_weak_table_count(table), count);
        }
        for (size_t k = 0; k < KEYS; k++) {
            if (keys[k]) {
                drop(keys[k]);
                drop(values[k]);
            }
        }
        assert_int_equal(cairn_weak_table_count(table), 0);
        cairn_decref((cairn_object *)(void *)table);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        TEST(test_shared_and_not),
        TEST(test_dead_before_its_referent),
        TEST(test_unsupported),
        TEST(test_equality_and_hash),
        TEST(test_proxy_call),
        TEST(test_order_by_count),
        TEST(test_order_by_collector),
        TEST(test_resurrection_by_count_keeps_weak),
        TEST(test_resurrection_by_collector_leaves_weak_dead),
        TEST(test_weak_made_by_a_finalizer),
        TEST(test_trash_does_not_call_back),
        TEST(test_trash_without_context_does_not_call_back),
        TEST(test_trash_weak_to_the_living),
        TEST(test_callback_may_collect),
        TEST(test_context_is_counted),
        TEST(test_finalizers),
        TEST(test_finalizers_at_the_end),
        TEST(test_table_of_weak_keys),
        TEST(test_table_of_weak_values),
        TEST(test_table_changes_while_visited),
        TEST(test_table_in_a_cycle),
        TEST(test_table_random),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? failed : os_fake_faults() != 0;
}
