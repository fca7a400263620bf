/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_instance.c: classes and their instances: maps from names to values.
 *
 * A class holds the type of its instances, each of which counts a reference to it: so the type is there as long as an
 * instance is; for the last moment of the last one see instance_dealloc().
 * Both are tracked from birth to death. Lock: the GIL. */

#include "object/kinds_table.h"

#include <string.h>

enum { EXPECTED_MOST = 64 }; /* attributes that new instances get room for at once */

struct class_object {
    struct kinds_map map; /* attributes of the class itself */
    cairn_object *base;   /* or NULL */
    size_t expected;      /* attributes that an instance has had, at most */
    cairn_type type;      /* of the instances */
    char name[];
};

struct weak_instance {
    struct kinds_map map;
    cairn_weak *weak_list;
};

static struct class_object *class_of(cairn_object *object)
{
    return (struct class_object *)(void *)object;
}

static bool is_class(const cairn_object *object, const char *call)
{
    return kinds_is(object, &kinds_class_type, call);
}

/* ---- instances ---- */

static struct class_object *class_of_instance(const cairn_object *instance)
{
    return (struct class_object *)(uintptr_t)instance->type->user;
}

static void instance_traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    visit(&class_of_instance(self)->map.object, arg);
    kinds_map_traverse(kinds_map_of(self), visit, arg);
}

static void map_clear(cairn_object *self)
{
    kinds_map_clear(kinds_map_of(self));
}

/* The instance's type is still needed when this returns. So a class that dies with it dies later: as if deaths were
 * nested too deep, it waits until the outermost death has ended. */
static void instance_dealloc(cairn_object *self)
{
    cairn_runtime *runtime = kinds_runtime(self);
    map_clear(self);
    uint32_t depth = runtime->depth;
    runtime->depth = DEPTH_MOST;
    cairn_decref(&class_of_instance(self)->map.object);
    runtime->depth = depth;
}

static size_t instance_repr(cairn_object *self, char *text, size_t size)
{
    struct kinds_text out = {text, size, 0};
    kinds_text_word(&out, "<");
    kinds_text_word(&out, self->type->name);
    kinds_text_format(&out, " object at %p>", (void *)self);
    return out.length;
}

cairn_object *cairn_instance_new(cairn_object *class)
{
    if (!is_class(class, "instance_new")) {
        return NULL;
    }
    cairn_object *instance = cairn_object_alloc(kinds_runtime(class), &class_of(class)->type, 0);
    if (instance) {
        cairn_incref(class);
        kinds_map_init(kinds_map_of(instance));
        cairn_object_track(instance);
    }
    return instance;
}

bool cairn_is_instance(cairn_object *object)
{
    return object->type->traverse == instance_traverse;
}

bool cairn_instance_is_of(cairn_object *object, cairn_object *class)
{
    if (!cairn_is_instance(object)) {
        return false;
    }
    cairn_object *at = &class_of_instance(object)->map.object;
    while (at && at != class) {
        at = class_of(at)->base;
    }
    return at != NULL;
}

cairn_object *cairn_instance_class(cairn_object *instance)
{
    if (!cairn_is_instance(instance)) {
        cairn_object_report(CAIRN_FAULT_TYPE, "instance_class", instance, "an instance of a class is needed");
        errno = EINVAL;
        return NULL;
    }
    return &class_of_instance(instance)->map.object;
}

/* ---- classes ---- */

/* What an instance of a class without a base does. */
static const cairn_type plain_type = {.struct_size = sizeof(cairn_type),
                                      .size = sizeof(struct kinds_map),
                                      .traverse = instance_traverse,
                                      .clear = map_clear,
                                      .dealloc = instance_dealloc,
                                      .repr = instance_repr};

static void fill_type(struct class_object *class, const cairn_class_options *options)
{
    cairn_type *type = &class->type;
    *type = options->base ? class_of(options->base)->type : plain_type;
    type->name = class->name;
    type->user = class;
    if (options->weak) {
        type->size = sizeof(struct weak_instance);
        type->weak_offset = offsetof(struct weak_instance, weak_list);
    }
    type->finalize = options->finalize ? options->finalize : type->finalize;
    type->repr = options->repr ? options->repr : type->repr;
    if (options->equal) {
        type->equal = options->equal;
        type->hash = kinds_no_hash;
    }
    type->hash = options->hash ? options->hash : type->hash;
}

static const char *fault_of(const cairn_class_options *options)
{
    if (!options || options->struct_size != sizeof *options) {
        return "the struct_size of class options is not sizeof(cairn_class_options)";
    }
    if (!options->name) {
        return "a class needs a name";
    }
    return options->base && !cairn_is_class(options->base) ? "the base of a class must be a class" : NULL;
}

cairn_object *cairn_class_new(cairn_runtime *runtime, const cairn_class_options *options)
{
    const char *fault = fault_of(options);
    if (fault) {
        return kinds_fail(runtime, EINVAL, fault);
    }
    size_t name_size = strlen(options->name) + 1;
    cairn_object *object = kinds_of(runtime) ? cairn_object_alloc(runtime, &kinds_class_type, name_size) : NULL;
    if (!object) {
        return NULL;
    }
    struct class_object *class = class_of(object);
    kinds_map_init(&class->map);
    class->base = cairn_xincref(options->base);
    class->expected = 0;
    memcpy(class->name, options->name, name_size);
    fill_type(class, options);
    cairn_object_track(object);
    return object;
}

const char *cairn_class_name(cairn_object *class)
{
    return is_class(class, "class_name") ? class_of(class)->name : "";
}

cairn_object *cairn_class_base(cairn_object *class)
{
    return is_class(class, "class_base") ? class_of(class)->base : NULL;
}

static void class_traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    CAIRN_VISIT(class_of(self)->base);
    kinds_map_traverse(kinds_map_of(self), visit, arg);
}

/* The base stays: a class cannot be a part of its base without being an attribute of it. */
static void class_dealloc(cairn_object *self)
{
    map_clear(self);
    cairn_clear(&class_of(self)->base);
}

static size_t class_repr(cairn_object *self, char *text, size_t size)
{
    struct kinds_text out = {text, size, 0};
    kinds_text_word(&out, "<class '");
    kinds_text_word(&out, class_of(self)->name);
    kinds_text_word(&out, "'>");
    return out.length;
}

const cairn_type kinds_class_type = {.struct_size = sizeof(cairn_type),
                                     .name = "class",
                                     .size = offsetof(struct class_object, name),
                                     .item_size = 1,
                                     .traverse = class_traverse,
                                     .clear = map_clear,
                                     .dealloc = class_dealloc,
                                     .repr = class_repr};

const cairn_type *cairn_class_type(void)
{
    return &kinds_class_type;
}

/* ---- attributes ---- */

/* True if `holder` has attributes and `name` is a str; otherwise reports a fault. */
static bool may_have(cairn_object *holder, const cairn_object *name, const char *call)
{
    if (holder->type != &kinds_class_type && !cairn_is_instance(holder)) {
        cairn_object_report(CAIRN_FAULT_TYPE, call, holder, "an instance or a class is needed");
        errno = EINVAL;
        return false;
    }
    return !name || kinds_is(name, &kinds_str_type, call);
}

/* Entry of a name; names are strs, so no other code runs. */
static size_t find(cairn_object *holder, cairn_object *name)
{
    return kinds_map_find(kinds_map_of(holder), name, kinds_str_hash(kinds_str_of(name)));
}

int cairn_attribute_set(cairn_object *holder, cairn_object *name, cairn_object *value)
{
    if (!may_have(holder, name, "attribute_set")) {
        return EINVAL;
    }
    struct kinds_map *map = kinds_map_of(holder);
    size_t i = find(holder, name);
    if (i != KINDS_NOT_FOUND) {
        cairn_set(kinds_value(map->table, i), value);
        return 0;
    }
    struct class_object *class = cairn_is_instance(holder) ? class_of_instance(holder) : NULL;
    size_t room = class ? class->expected : 0;
    if (!kinds_map_add(map, name, kinds_str_hash(kinds_str_of(name)), value, room)) {
        return ENOMEM;
    }
    size_t size = kinds_map_size(map);
    if (class && size > class->expected && size <= EXPECTED_MOST) {
        class->expected = size;
    }
    return 0;
}

int cairn_attribute_delete(cairn_object *holder, cairn_object *name)
{
    if (!may_have(holder, name, "attribute_delete")) {
        return EINVAL;
    }
    size_t i = find(holder, name);
    if (i == KINDS_NOT_FOUND) {
        return ENOENT;
    }
    cairn_object *old_name, *value;
    kinds_map_take(kinds_map_of(holder), i, &old_name, &value);
    cairn_decref(old_name);
    cairn_decref(value);
    return 0;
}

size_t cairn_attribute_count(cairn_object *holder)
{
    return may_have(holder, NULL, "attribute_count") ? kinds_map_size(kinds_map_of(holder)) : 0;
}

static cairn_object *own(cairn_object *holder, cairn_object *name)
{
    size_t i = find(holder, name);
    return i == KINDS_NOT_FOUND ? NULL : cairn_incref(*kinds_value(kinds_map_of(holder)->table, i));
}

cairn_object *cairn_attribute_own(cairn_object *holder, cairn_object *name)
{
    if (!may_have(holder, name, "attribute_own")) {
        return NULL;
    }
    cairn_object *value = own(holder, name);
    if (!value) {
        errno = ENOENT;
    }
    return value;
}

cairn_object *cairn_attribute_get(cairn_object *holder, cairn_object *name)
{
    if (!may_have(holder, name, "attribute_get")) {
        return NULL;
    }
    cairn_object *value = own(holder, name);
    cairn_object *class = cairn_is_instance(holder) ? &class_of_instance(holder)->map.object : class_of(holder)->base;
    for (; !value && class; class = class_of(class)->base) {
        value = own(class, name);
    }
    if (!value) {
        errno = ENOENT;
    }
    return value;
}

int cairn_attribute_next(cairn_object *holder, cairn_position *position, cairn_object **name, cairn_object **value)
{
    size_t i;
    if (!may_have(holder, NULL, "attribute_next")) {
        return EINVAL;
    }
    struct kinds_map *map = kinds_map_of(holder);
    int error = kinds_map_next(map, position, &i);
    if (error) {
        return error == EBUSY ? runtime_error(kinds_runtime(holder), EBUSY, "attributes changed during iteration")
                              : error;
    }
    *name = kinds_key(map->table, i);
    *value = *kinds_value(map->table, i);
    return 0;
}

/* ---- namespaces ---- */

cairn_object *cairn_namespace_new(cairn_runtime *runtime)
{
    struct kinds *kinds = kinds_of(runtime);
    if (!kinds) {
        return NULL;
    }
    if (!kinds->namespace_class) {
        cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
        options.name = "namespace";
        options.weak = true;
        cairn_object *class = cairn_class_new(runtime, &options);
        if (!class) {
            return NULL;
        }
        if (kinds->namespace_class) { /* by code that ran in a collection */
            cairn_decref(class);
        } else {
            kinds->namespace_class = class;
            cairn_object_make_immortal(class);
        }
    }
    return cairn_instance_new(kinds->namespace_class);
}
