/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* fault.c: reports of faults: a line with the object dumped, given to the handler; the checks of objects that are used.
 *
 * Nothing here trusts the object: it may be dead, damaged or none. What lies behind its address is read only if the
 * page map says that the address is in a block of some runtime, or if it is in no memory of Cairn's at all (static
 * objects). No locks. */

#include "object/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "os/os.h"

static _Atomic(cairn_object_fault_handler) current_handler;

cairn_object_fault_handler cairn_set_object_fault_handler(cairn_object_fault_handler handler)
{
    return atomic_exchange(&current_handler, handler);
}

/* Where the object lies, if it is a block of a runtime that is in use, as far as can be told. */
static const char *where(const cairn_object *object, const struct pool *pool)
{
    if (!pool) {
        return "in no runtime";
    }
    if (!pool_runtime(pool)) {
        return "in memory of Cairn's that holds no objects";
    }
    if (!pool_is_class(pool)) {
        return "a large object";
    }
    if (pool_block_start(pool, object) != (const void *)object) {
        return "inside a block, not at its start";
    }
    return *pool_side(pool) ? "in a pool of containers" : "in a pool";
}

static bool is_free_block(const struct pool *pool, const cairn_object *object)
{
    for (const struct block *block = free_first(pool); block; block = free_next(block)) {
        if ((const void *)block == (const void *)object) {
            return true;
        }
    }
    return false;
}

/* Describes an object without calling anything of its type's. */
static void dump(const cairn_object *object, char *text, size_t size)
{
    const struct pool *pool = pagemap_get(object);
    cairn_runtime *runtime = pool_runtime(pool);
    int length = snprintf(text, size, "object %p, %s", (const void *)object, where(object, pool));
    if (length < 0 || (size_t)length >= size || (pool && !runtime)) {
        return;
    }
    text += length;
    size -= (size_t)length;
    if (runtime && pool_is_class(pool)) {
        if (pool_block_start(pool, object) != (const void *)object) {
            return;
        }
        if (is_free_block(pool, object)) {
            (void)snprintf(text, size, ", dead: its block is free");
            return;
        }
    }
    const char *name = object->type ? object->type->name : NULL;
    if (object->count < 0) {
        (void)snprintf(text, size, ", type %s, dead: queued", name ? name : "?");
    } else {
        (void)snprintf(text, size, ", type %s, count %lld", name ? name : "?", (long long)object->count);
    }
}

void cairn_object_report(cairn_object_fault_kind kind, const char *call, const cairn_object *object,
                         const char *sentence)
{
    char description[256] = "";
    if (object) {
        dump(object, description, sizeof description);
    }
    char text[512];
    (void)snprintf(text, sizeof text, "cairn: %s: %s%s%s", call, sentence, object ? ": " : "", description);
    cairn_object_fault fault = {kind, call, object, object ? object_runtime(object) : NULL, text};
    cairn_object_fault_handler handler = atomic_load(&current_handler);
    if (handler) {
        handler(&fault);
        return;
    }
    size_t length = strlen(text);
    text[length++] = '\n'; /* in place of the final 0 */
    os_write_error(text, length);
    os_abort();
}

bool gil_check(const cairn_runtime *runtime, const char *call)
{
    if (runtime->gil.none || cairn_gil_is_held(runtime)) {
        return true;
    }
    cairn_object_report(CAIRN_FAULT_GIL, call, NULL, "the calling thread does not hold the runtime's GIL");
    errno = EINVAL;
    return false;
}

bool cairn_object_check(const cairn_object *object, const char *call)
{
    const struct pool *pool = pagemap_get(object);
    const cairn_runtime *runtime = pool_runtime(pool);
    if (!object || (pool && !runtime)) {
        cairn_object_report(CAIRN_FAULT_DEAD, call, object, "not an object");
        return false;
    }
    if (runtime && !runtime->gil.none && !cairn_gil_is_held(runtime)) {
        cairn_object_report(CAIRN_FAULT_GIL, call, object, "the calling thread does not hold the runtime's GIL");
        return false;
    }
    if (runtime && pool_is_class(pool) && pool_block_start(pool, object) != (const void *)object) {
        cairn_object_report(CAIRN_FAULT_DEAD, call, object, "not an object");
        return false;
    }
    if (object->type == &dead_type || !object->type) {
        cairn_object_report(CAIRN_FAULT_DEAD, call, object, "the object is dead");
        return false;
    }
    if (object->count <= 0) {
        bool release = strcmp(call, "decref") == 0;
        cairn_object_report(release ? CAIRN_FAULT_OVER_RELEASE : CAIRN_FAULT_DEAD, call, object,
                            release ? "a reference is given up that nobody had" : "the object is dead");
        return false;
    }
    return true;
}
