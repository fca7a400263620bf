/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* on_cairn.c: the workloads on Cairn's objects, with the built-in kinds; in bounded mode if the environment variable
 * CAIRN_BENCH_STEP_US says how long a step may take. */

#include <stdbool.h>
#include <stdlib.h>

#include "cairn_kinds.h"

typedef cairn_object *ref;
#define NAME "cairn"

static cairn_runtime *runtime;
static ref none;
#define NONE none

static void need(bool done)
{
    if (!done) {
        abort();
    }
}

static ref keep(ref object)
{
    return cairn_incref(object);
}

static void drop(ref object)
{
    cairn_decref(object);
}

static void start(bool automatic)
{
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    const char *step = getenv("CAIRN_BENCH_STEP_US");
    options.step_us = step ? (unsigned)atoi(step) : 0;
    options.gil_optional = true;
    runtime = cairn_runtime_create(&options);
    need(runtime != NULL);
    none = cairn_none(runtime);
    if (!automatic) {
        cairn_collector_disable(runtime);
    }
}

static ref pair(ref a, ref b)
{
    ref tuple = cairn_tuple_make(runtime, 2);
    need(tuple != NULL);
    cairn_tuple_init(tuple, 0, a == none ? keep(a) : a);
    cairn_tuple_init(tuple, 1, b == none ? keep(b) : b);
    return tuple;
}

static ref first(ref tuple)
{
    return cairn_tuple_at(tuple, 0);
}

static ref second(ref tuple)
{
    return cairn_tuple_at(tuple, 1);
}

static ref list(void)
{
    ref made = cairn_list_new(runtime, NULL, 0);
    need(made != NULL);
    return made;
}

static void append(ref list_object, ref item)
{
    need(cairn_list_append(list_object, item) == 0);
    drop(item);
}

static ref at(ref list_object, size_t i)
{
    return cairn_list_at(list_object, i);
}

static ref dict(void)
{
    ref made = cairn_dict_new(runtime);
    need(made != NULL);
    return made;
}

static void set(ref dict_object, ref key, ref value)
{
    need(cairn_dict_set(dict_object, key, value) == 0);
    drop(key);
    drop(value);
}

static ref get(ref dict_object, ref key)
{
    return cairn_dict_find(dict_object, key);
}

static ref integer(long value)
{
    ref made = cairn_int_new(runtime, value);
    need(made != NULL);
    return made;
}

static long value_of(ref number)
{
    int64_t value;
    need(cairn_int_get(number, &value) == 0);
    return value;
}

static void collect(void)
{
    need(cairn_collect(runtime, 2) >= 0);
}

struct node {
    cairn_object object;
    ref references[2];
};

static const cairn_type node_type = {.struct_size = sizeof(cairn_type),
                                     .name = "node",
                                     .size = sizeof(struct node),
                                     .reference_offset = offsetof(struct node, references),
                                     .reference_count = 2};

static ref node(ref a, ref b)
{
    ref made = cairn_object_alloc(runtime, &node_type, 0);
    need(made != NULL);
    ((struct node *)(void *)made)->references[0] = a;
    ((struct node *)(void *)made)->references[1] = b;
    cairn_object_track(made);
    return made;
}

static ref reference(ref node_object, int i)
{
    return ((struct node *)(void *)node_object)->references[i];
}

static void finish(void)
{
    cairn_runtime_stats stats;
    collect();
    cairn_runtime_get_stats(runtime, &stats);
    need(stats.containers_tracked < 64);
}

#include "workloads.h"
