/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* cache.c: what is kept for reuse: caches that kinds register, and the free lists of types that ask for them.
 *
 * Every kept block is counted in one cache, and all caches together in runtime->cached_bytes, which cache_limit bounds.
 * Kept blocks are blocks in use to the heap, so its limit bounds them too; when memory is short they go first.
 *
 * A free list's blocks are linked through their counts (queue_link); their type is dead_type.
 *
 * Lock: the GIL. */

#include "object/runtime.h"

#include "heap/geometry.h"
#include "heap/meta.h"

void cairn_cache_add(cairn_runtime *runtime, cairn_cache *cache)
{
    CHECK_GIL(runtime, "cache_add");
    cache->runtime = runtime;
    cache->next = runtime->caches;
    runtime->caches = cache;
}

void cairn_cache_remove(cairn_cache *cache)
{
    CHECK_GIL(cache->runtime, "cache_remove");
    for (cairn_cache **at = &cache->runtime->caches; *at; at = &(*at)->next) {
        if (*at == cache) {
            *at = cache->next;
            return;
        }
    }
}

bool cairn_cache_put(cairn_cache *cache, size_t bytes)
{
    cairn_runtime *runtime = cache->runtime;
    if (cache->bytes + bytes > cache->limit || runtime->cached_bytes + bytes > runtime->cache_limit) {
        return false;
    }
    cache->count++;
    cache->bytes += bytes;
    runtime->cached_bytes += bytes;
    if (runtime->cached_bytes > runtime->cached_peak) {
        runtime->cached_peak = runtime->cached_bytes;
    }
    return true;
}

void cairn_cache_take(cairn_cache *cache, size_t bytes, bool hit)
{
    ASSERT(cache->count > 0 && cache->bytes >= bytes);
    cache->count--;
    cache->bytes -= bytes;
    cache->runtime->cached_bytes -= bytes;
    cache->hits += hit;
}

void caches_empty(cairn_runtime *runtime)
{
    for (cairn_cache *cache = runtime->caches; cache; cache = cache->next) {
        if (cache->count) {
            cache->empty(cache);
        }
    }
}

bool cairn_runtime_visit_caches(cairn_runtime *runtime, bool (*visitor)(const cairn_cache *cache, void *arg), void *arg)
{
    CHECK_GIL(runtime, "runtime_visit_caches", false);
    for (const cairn_cache *cache = runtime->caches; cache; cache = cache->next) {
        if (!visitor(cache, arg)) {
            return false;
        }
    }
    return true;
}

/* ---- free lists of types ---- */

static struct free_list **bucket_of(cairn_runtime *runtime, const cairn_type *type)
{
    return &runtime->free_lists[((uintptr_t)type >> 5) % FREE_LIST_TYPES];
}

static struct free_list *find(cairn_runtime *runtime, const cairn_type *type)
{
    struct free_list *list = *bucket_of(runtime, type);
    while (list && list->type != type) {
        list = list->next;
    }
    return list;
}

static cairn_object *pop(struct free_list *list, size_t items)
{
    cairn_object *object = list->first[items];
    list->first[items] = queue_next(object);
    list->count[items]--;
    return object;
}

static void empty(cairn_cache *cache)
{
    struct free_list *list = cache->user;
    for (size_t items = 0; items < FREE_LIST_ITEMS; items++) {
        while (list->first[items]) {
            cairn_object *object = pop(list, items);
            cairn_cache_take(cache, cairn_object_usable_size(object), false);
            cairn_object_free_block(cache->runtime, list->type, object);
        }
    }
}

static struct free_list *add(cairn_runtime *runtime, const cairn_type *type)
{
    os_lock_take(&runtime->heap->lock);
    struct free_list *list = meta_alloc(&runtime->heap->meta, sizeof *list);
    os_lock_give(&runtime->heap->lock);
    if (!list) {
        return NULL;
    }
    list->type = type;
    list->cache = (cairn_cache){.name = type->name, .limit = SIZE_MAX, .empty = empty, .user = list};
    struct free_list **bucket = bucket_of(runtime, type);
    list->next = *bucket;
    *bucket = list;
    cairn_cache_add(runtime, &list->cache);
    return list;
}

/* The number of items that the block of an object surely has room for; FREE_LIST_ITEMS and more: it is not kept.
 * Several counts may share a block size: the largest is its list. */
static size_t items_of(const cairn_type *type, size_t usable)
{
    return type->item_size ? (usable - type->size) / type->item_size : 0;
}

bool free_list_keep(cairn_runtime *runtime, cairn_object *dead, const cairn_type *type, size_t usable)
{
    size_t items = items_of(type, usable);
    if (items >= FREE_LIST_ITEMS) {
        return false;
    }
    struct free_list *list = find(runtime, type);
    if (!list) {
        list = add(runtime, type);
    }
    if (!list || list->count[items] >= type->free_list_most || !cairn_cache_put(&list->cache, usable)) {
        return false;
    }
    dead->type = &dead_type;
    dead->count = queue_link(list->first[items], false);
    list->first[items] = dead;
    list->count[items]++;
    return true;
}

cairn_object *free_list_take(cairn_runtime *runtime, const cairn_type *type, size_t items)
{
    struct free_list *list = find(runtime, type);
    if (!list) {
        return NULL;
    }
    /* The block that the allocator would give has room for up to this many items. */
    size_t size = type->size + items * type->item_size;
    if (size < runtime->heap->pooled_end) {
        items = items_of(type, runtime->heap->classes[class_of(runtime->heap, size)].block_size);
    }
    if (items >= FREE_LIST_ITEMS || !list->first[items]) {
        list->cache.misses++;
        return NULL;
    }
    cairn_object *object = pop(list, items);
    cairn_cache_take(&list->cache, cairn_object_usable_size(object), true);
    return object;
}
