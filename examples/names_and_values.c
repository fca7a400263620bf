/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* names_and_values.c: how names, objects and memory belong together, step by step, in the way of a language such as
 * Python. Names are the keys of a dict. Each step prints what it does, as Python would write it, and what came of it.
 *
 *   cc names_and_values.c $(pkg-config --cflags --libs cairn) && ./a.out */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <cairn_kinds.h>

static cairn_runtime *runtime;
static cairn_object *names; /* the dict of names */

/* Ends the program if an object could not be made: this is a story of 20 objects, so memory is not what it is about. */
static cairn_object *need(cairn_object *object)
{
    if (!object) {
        (void)fprintf(stderr, "cairn: %s\n", cairn_runtime_error(runtime));
        exit(1);
    }
    return object;
}

static void need_success(int error)
{
    if (error) {
        (void)need(NULL);
    }
}

/* name = value: the name counts a reference to the value; the caller's own is given up. */
static void bind(const char *name, cairn_object *value)
{
    cairn_object *key = need(cairn_str_intern(runtime, name, SIZE_MAX));
    need_success(cairn_dict_set(names, key, need(value)));
    cairn_decref(key);
    cairn_decref(value);
}

/* del name */
static void unbind(const char *name)
{
    cairn_object *key = need(cairn_str_intern(runtime, name, SIZE_MAX));
    need_success(cairn_dict_delete(names, key));
    cairn_decref(key);
}

/* The value of a name, borrowed from it. */
static cairn_object *look_up(const char *name)
{
    cairn_object *key = need(cairn_str_intern(runtime, name, SIZE_MAX));
    cairn_object *value = need(cairn_dict_find(names, key));
    cairn_decref(key);
    return value;
}

static void show(const char *name)
{
    char text[64];
    cairn_object *value = look_up(name);
    (void)cairn_object_repr(value, text, sizeof text);
    if (cairn_is_immortal(value)) {
        printf("    %s -> %s at %p, immortal\n", name, text, (void *)value);
    } else {
        printf("    %s -> %s at %p, count %" PRId64 "\n", name, text, (void *)value, cairn_count(value));
    }
}

static bool show_cache(const cairn_cache *cache, void *arg)
{
    (void)arg;
    if (cache->count) {
        printf("    kept for reuse: %zu x %s, %zu bytes\n", cache->count, cache->name, cache->bytes);
    }
    return true;
}

/* ---- the story ---- */

static void a_name_is_bound(void)
{
    printf("1. A name is bound to an object.\n  x = 1000\n");
    bind("x", cairn_int_new(runtime, 1000));
    show("x");
    printf("2. A second name for the same object: its count goes up, nothing is copied.\n  y = x\n");
    bind("y", cairn_incref(look_up("x")));
    show("x");
    show("y");
}

static void an_operation_makes_a_new_object(void)
{
    printf("3. An operation makes a new object, and the name is bound to that one. The old one has lost a reference.\n"
           "  x = x + 1\n");
    cairn_object *one = need(cairn_int_new(runtime, 1));
    bind("x", cairn_int_add(runtime, look_up("x"), one));
    cairn_decref(one);
    show("x");
    show("y");
}

static void a_count_reaches_zero(void)
{
    printf("4. Its last name goes: the count reaches zero, the object dies, and its block is kept for reuse.\n"
           "  del y\n");
    printf("    1000 was at %p\n", (void *)look_up("y"));
    unbind("y");
    (void)cairn_runtime_visit_caches(runtime, show_cache, NULL);
    printf("5. The next object of that size gets its block: the same address, so the same id.\n  z = 2000\n");
    bind("z", cairn_int_new(runtime, 2000));
    show("z");
    (void)cairn_runtime_visit_caches(runtime, show_cache, NULL);
}

static void some_objects_are_shared(void)
{
    printf("6. Small ints are made once and shared.\n  a = 7; b = 3 + 4\n");
    bind("a", cairn_int_new(runtime, 7));
    cairn_object *three = need(cairn_int_new(runtime, 3)), *four = need(cairn_int_new(runtime, 4));
    bind("b", cairn_int_add(runtime, three, four));
    cairn_decref(three);
    cairn_decref(four);
    show("a");
    show("b");
}

/* holder.friend = value */
static void befriend(const char *holder, const char *value)
{
    cairn_object *attribute = need(cairn_str_intern(runtime, "friend", SIZE_MAX));
    need_success(cairn_attribute_set(look_up(holder), attribute, look_up(value)));
    cairn_decref(attribute);
}

static void a_cycle_outlives_its_names(void)
{
    printf("7. Two objects refer to each other.\n"
           "  p = namespace(); q = namespace(); p.friend = q; q.friend = p; w = weakref.ref(p)\n");
    bind("p", cairn_namespace_new(runtime));
    bind("q", cairn_namespace_new(runtime));
    befriend("p", "q");
    befriend("q", "p");
    cairn_weak *weak = cairn_weak_new(look_up("p"), NULL, NULL);
    (void)need((cairn_object *)weak);
    show("p");
    show("q");
    printf("8. Their names go, but each is still counted in the other: they live on, and nobody can reach them.\n"
           "  del p, q\n");
    unbind("p");
    unbind("q");
    cairn_object *alive = cairn_weak_get(weak);
    printf("    w() is %s, count %" PRId64 "\n", alive ? "alive" : "dead", alive ? cairn_count(alive) - 1 : 0);
    cairn_xdecref(alive);
    printf("9. Only the collector finds them.\n  gc.collect()\n");
    printf("    found %td\n", cairn_collect(runtime, 2));
    printf("    w() is %s\n", cairn_weak_is_dead(weak) ? "dead" : "alive");
    cairn_decref(&weak->object);
}

static int the_end(void)
{
    printf("10. The end: all names go, and all memory goes back to the system.\n");
    cairn_runtime_end end;
    cairn_decref(names);
    int error = cairn_runtime_destroy_checked(runtime, stdout, &end);
    printf("    objects left: %zu; bytes mapped: %zu, returned: %zu\n", end.kept_objects, end.mapped_bytes,
           end.returned_bytes);
    return error;
}

int main(void)
{
    runtime = cairn_runtime_create(NULL);
    if (!runtime) {
        perror("cairn");
        return 1;
    }
    names = need(cairn_dict_new(runtime));
    a_name_is_bound();
    an_operation_makes_a_new_object();
    a_count_reaches_zero();
    some_objects_are_shared();
    a_cycle_outlives_its_names();
    return the_end() ? 1 : 0;
}
