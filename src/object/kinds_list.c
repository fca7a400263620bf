/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_list.c: lists. The items are a block of their own, see set_room() for its growth, or, up to CAIRN_LIST_INSIDE of
 * them, in the list.
 *
 * Invariants: size <= room; `items` leads to `inside` or to a block, which holds `room` items; the first `size` items
 * are not NULL. A list is tracked from birth to death. What leaves it is given up last, when the list is whole. Lock: the
 * GIL. */

#include "object/kinds_state.h"

#include <string.h>

static cairn_list *list_of(cairn_object *object)
{
    return (cairn_list *)(void *)object;
}

static bool is_list(const cairn_object *object, const char *call)
{
    return kinds_is(object, &kinds_list_type, call);
}

/* ---- room ---- */

static inline bool is_inside(const cairn_list *self)
{
    return self->items == self->inside;
}

static inline size_t room_of(const cairn_list *self)
{
    return is_inside(self) ? CAIRN_LIST_INSIDE : self->room;
}

static inline void set_empty(cairn_list *self)
{
    self->items = self->inside;
    self->size = 0;
}

/* The items move into the list. */
static void move_inside(cairn_list *self)
{
    cairn_object **block = self->items;
    self->items = self->inside;
    memcpy(self->inside, block, self->size * sizeof *block);
    cairn_runtime_free(kinds_runtime(&self->object), block);
}

/* The room becomes `room`, which is enough for the items. */
static bool resize_items(cairn_object *list, size_t room)
{
    cairn_list *self = list_of(list);
    cairn_runtime *runtime = kinds_runtime(list);
    if (room > PTRDIFF_MAX / sizeof(cairn_object *)) {
        (void)runtime_error(runtime, ENOMEM, "a list is too long");
        return false;
    }
    bool inside = is_inside(self);
    if (room <= CAIRN_LIST_INSIDE) {
        if (!inside) {
            move_inside(self);
        }
        return true;
    }
    size_t bytes = room * sizeof(cairn_object *);
    cairn_object **items = inside ? cairn_runtime_alloc(runtime, bytes)
                                  : cairn_runtime_realloc(runtime, self->items, bytes);
    if (!items) {
        return false;
    }
    if (inside) {
        memcpy(items, self->inside, self->size * sizeof *items);
    }
    self->items = items;
    self->room = room;
    return true;
}

/* The room that a list gets when it grows or shrinks to `size`: an eighth more, in steps of 4; a growth by more than
 * that gets what it needs. */
static size_t room_for(size_t old_size, size_t size)
{
    if (size <= 4) {
        return size <= CAIRN_LIST_INSIDE ? CAIRN_LIST_INSIDE : 4;
    }
    size_t room = (size + (size >> 3) + 6) & ~(size_t)3;
    if (size > old_size && size - old_size > room - size) {
        room = (size + 3) & ~(size_t)3;
    }
    return room;
}

/* Sees to it that there is room for `size` items, and not for more than twice as many. A list that cannot shrink for
 * lack of memory keeps its room. */
static bool set_room(cairn_object *list, size_t size)
{
    const cairn_list *self = list_of(list);
    size_t room = room_of(self);
    if (size <= room && (size >= room / 2 || room <= CAIRN_LIST_INSIDE)) {
        return true;
    }
    return resize_items(list, room_for(self->size, size)) || size <= room;
}

/* ---- made ---- */

cairn_object *cairn_list_new(cairn_runtime *runtime, cairn_object *const *items, size_t size)
{
    struct kinds *kinds = kinds_of(runtime);
    cairn_object *list = kinds ? kinds_take(&kinds->lists, runtime, &kinds_list_type, 0) : NULL;
    if (UNLIKELY(!list)) {
        return NULL;
    }
    cairn_list *self = list_of(list);
    set_empty(self);
    kinds_track(list);
    if (size) {
        if (!resize_items(list, size)) {
            cairn_decref(list);
            errno = ENOMEM;
            return NULL;
        }
        kinds_copy(self->items, items, size);
        self->size = size;
    }
    return list;
}

cairn_object *cairn_list_slice(cairn_object *list, size_t from, size_t to)
{
    if (!is_list(list, "list_slice")) {
        return NULL;
    }
    cairn_object *slice = cairn_list_new(kinds_runtime(list), NULL, 0); /* other code may have changed the list now */
    const cairn_list *self = list_of(list);
    to = to < self->size ? to : self->size;
    from = from < to ? from : to;
    if (slice && from < to) {
        if (!resize_items(slice, to - from)) {
            cairn_decref(slice);
            errno = ENOMEM;
            return NULL;
        }
        kinds_copy(list_of(slice)->items, self->items + from, to - from);
        list_of(slice)->size = to - from;
    }
    return slice;
}

cairn_object *cairn_list_to_tuple(cairn_object *list)
{
    if (!is_list(list, "list_to_tuple")) {
        return NULL;
    }
    for (;;) {
        size_t size = cairn_list_size(list);
        cairn_object *tuple = cairn_tuple_make(kinds_runtime(list), size);
        if (!tuple || size == cairn_list_size(list)) {
            if (tuple && size) {
                kinds_copy(cairn_tuple_items(tuple), list_of(list)->items, size);
            }
            return tuple;
        }
        cairn_decref(tuple); /* other code has changed the list */
    }
}

/* ---- single items ---- */

int cairn_list_append(cairn_object *list, cairn_object *item)
{
    if (!is_list(list, "list_append")) {
        return EINVAL;
    }
    cairn_list *self = list_of(list);
    if (UNLIKELY(self->size == room_of(self)) && !set_room(list, self->size + 1)) {
        return ENOMEM;
    }
    self->items[self->size++] = cairn_incref(item);
    return 0;
}

static int beyond(cairn_object *list)
{
    return runtime_error(kinds_runtime(list), EINVAL, "a list's index is beyond its end");
}

int cairn_list_insert(cairn_object *list, size_t i, cairn_object *item)
{
    if (!is_list(list, "list_insert")) {
        return EINVAL;
    }
    cairn_list *self = list_of(list);
    if (i > self->size) {
        return beyond(list);
    }
    if (!set_room(list, self->size + 1)) {
        return ENOMEM;
    }
    memmove(self->items + i + 1, self->items + i, (self->size - i) * sizeof *self->items);
    self->items[i] = cairn_incref(item);
    self->size++;
    return 0;
}

int cairn_list_set(cairn_object *list, size_t i, cairn_object *item)
{
    if (!is_list(list, "list_set")) {
        return EINVAL;
    }
    cairn_list *self = list_of(list);
    if (i >= self->size) {
        return beyond(list);
    }
    cairn_set(&self->items[i], item);
    return 0;
}

cairn_object *cairn_list_pop(cairn_object *list, size_t i)
{
    if (!is_list(list, "list_pop")) {
        return NULL;
    }
    cairn_list *self = list_of(list);
    if (i == SIZE_MAX) {
        i = self->size - 1;
    }
    if (i >= self->size) {
        (void)beyond(list);
        return NULL;
    }
    cairn_object *item = self->items[i];
    memmove(self->items + i, self->items + i + 1, (self->size - i - 1) * sizeof *self->items);
    self->size--;
    (void)set_room(list, self->size);
    return item;
}

int cairn_list_delete(cairn_object *list, size_t i)
{
    if (!is_list(list, "list_delete")) {
        return EINVAL;
    }
    if (i >= cairn_list_size(list)) {
        return beyond(list);
    }
    cairn_decref(cairn_list_pop(list, i));
    return 0;
}

/* ---- many items ---- */

/* The items of a list or tuple as a row; false for other objects. */
static bool row_of(cairn_object *object, const char *call, cairn_object ***items, size_t *size)
{
    if (object->type == &kinds_tuple_type) {
        *items = cairn_tuple_items(object);
        *size = cairn_tuple_size(object);
        return true;
    }
    if (!is_list(object, call)) {
        return false;
    }
    *items = list_of(object)->items;
    *size = list_of(object)->size;
    return true;
}

int cairn_list_extend(cairn_object *list, cairn_object *items)
{
    cairn_object **row;
    size_t more;
    if (!is_list(list, "list_extend") || !row_of(items, "list_extend", &row, &more)) {
        return EINVAL;
    }
    cairn_list *self = list_of(list);
    size_t size = self->size;
    if (more && !set_room(list, size + more)) {
        return ENOMEM;
    }
    if (more) {
        kinds_copy(self->items + size, items == list ? self->items : row, more);
        self->size = size + more;
    }
    return 0;
}

/* A list gets a row of items; one that fits into it is copied. */
static void set_items(cairn_list *self, cairn_object **items, size_t size, size_t room)
{
    self->size = size;
    if (room > CAIRN_LIST_INSIDE) {
        self->items = items;
        self->room = room;
    } else {
        self->items = self->inside;
        memcpy(self->inside, items, size * sizeof *items);
    }
}

/* Copies items without counting. */
static void copy_row(cairn_object **to, size_t at, cairn_object *const *from, size_t first, size_t count)
{
    if (count) {
        memcpy(to + at, from + first, count * sizeof *to);
    }
}

int cairn_list_replace(cairn_object *list, size_t from, size_t to, cairn_object *items)
{
    cairn_object **row = NULL;
    size_t more = 0;
    if (!is_list(list, "list_replace") || (items && !row_of(items, "list_replace", &row, &more))) {
        return EINVAL;
    }
    cairn_runtime *runtime = kinds_runtime(list);
    cairn_list *self = list_of(list);
    size_t old_size = self->size;
    to = to < old_size ? to : old_size;
    from = from < to ? from : to;
    if (old_size > SIZE_MAX / sizeof(cairn_object *) - more) {
        return runtime_error(runtime, ENOMEM, "a list is too long");
    }
    /* A new row of items, so that nothing has changed if there is no memory, and the list may replace itself. */
    size_t size = old_size - (to - from) + more;
    size_t room = room_for(old_size, size);
    bool fits_inside = room <= CAIRN_LIST_INSIDE, inside = is_inside(self);
    cairn_object *fresh[CAIRN_LIST_INSIDE], *kept[CAIRN_LIST_INSIDE];
    cairn_object **new_items = fits_inside ? fresh : cairn_runtime_alloc(runtime, room * sizeof(cairn_object *));
    if (!new_items) {
        return ENOMEM;
    }
    cairn_object **old_items = self->items;
    kinds_incref_all(row, more);
    copy_row(new_items, 0, old_items, 0, from);
    copy_row(new_items, from, row, 0, more);
    copy_row(new_items, from + more, old_items, to, old_size - to);
    if (inside) {
        old_items = memcpy(kept, self->inside, sizeof kept);
    }
    set_items(self, new_items, size, room);
    for (size_t i = from; i < to; i++) {
        cairn_decref(old_items[i]);
    }
    if (!inside) {
        cairn_runtime_free(runtime, old_items);
    }
    return 0;
}

static void list_clear(cairn_object *list)
{
    cairn_list *self = list_of(list);
    cairn_object *kept[CAIRN_LIST_INSIDE];
    cairn_object **items = self->items;
    size_t size = self->size;
    bool inside = is_inside(self);
    if (inside) { /* others may put new items there */
        memcpy(kept, self->inside, sizeof kept);
        items = kept;
    }
    set_empty(self);
    kinds_decref_all(items, size);
    if (!inside) {
        cairn_runtime_free(kinds_runtime(list), items);
    }
}

int cairn_list_clear(cairn_object *list)
{
    if (!is_list(list, "list_clear")) {
        return EINVAL;
    }
    list_clear(list);
    return 0;
}

int cairn_list_reverse(cairn_object *list)
{
    if (!is_list(list, "list_reverse")) {
        return EINVAL;
    }
    cairn_list *self = list_of(list);
    for (size_t i = 0, j = self->size; i + 1 < j; i++) {
        cairn_object *item = self->items[--j];
        self->items[j] = self->items[i];
        self->items[i] = item;
    }
    return 0;
}

size_t cairn_list_find(cairn_object *list, cairn_object *item)
{
    if (!is_list(list, "list_find")) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i < cairn_list_size(list); i++) {
        cairn_object *at = cairn_incref(cairn_list_at(list, i)); /* a comparison may remove it */
        bool equal = cairn_kinds_equal(at, item);
        cairn_decref(at);
        if (equal) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool cairn_list_contains(cairn_object *list, cairn_object *item)
{
    return cairn_list_find(list, item) != SIZE_MAX;
}

/* ---- as an object ---- */

static void list_traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    const cairn_list *list = list_of(self);
    for (size_t i = 0; i < list->size; i++) {
        visit(list->items[i], arg);
    }
}

static bool list_keep(cairn_runtime *runtime, cairn_object *dead)
{
    struct kinds *kinds = runtime->kinds;
    return kinds && kinds_keep(&kinds->lists, runtime, dead);
}

/* The lists may change and their items go while they are compared. */
static bool list_equal(cairn_object *a, cairn_object *b)
{
    struct kinds_frame frame;
    if (b->type != &kinds_list_type || cairn_list_size(a) != cairn_list_size(b) || !kinds_enter(&frame, a, NULL)) {
        return false;
    }
    bool equal = true;
    for (size_t i = 0; equal && i < cairn_list_size(a) && i < cairn_list_size(b); i++) {
        cairn_object *x = cairn_incref(cairn_list_at(a, i)), *y = cairn_incref(cairn_list_at(b, i));
        equal = cairn_kinds_equal(x, y);
        cairn_decref(x);
        cairn_decref(y);
    }
    kinds_leave(&frame);
    return equal && cairn_list_size(a) == cairn_list_size(b);
}

static size_t list_repr(cairn_object *self, char *text, size_t size)
{
    struct kinds_text out = {text, size, 0};
    struct kinds_frame frame;
    bool again;
    if (!kinds_enter(&frame, self, &again)) {
        kinds_text_word(&out, "[...]");
        return out.length;
    }
    kinds_text_word(&out, again ? "[..." : "[");
    for (size_t i = 0; i < cairn_list_size(self) && !again; i++) {
        kinds_text_word(&out, i ? ", " : "");
        kinds_text_object(&out, cairn_list_at(self, i));
    }
    kinds_text_word(&out, "]");
    kinds_leave(&frame);
    return out.length;
}

const cairn_type kinds_list_type = {.struct_size = sizeof(cairn_type),
                                    .name = "list",
                                    .size = sizeof(cairn_list),
                                    .traverse = list_traverse,
                                    .row_offset = offsetof(cairn_list, items),
                                    .row_length_offset = offsetof(cairn_list, size),
                                    .clear = list_clear,
                                    .keep = list_keep,
                                    .repr = list_repr,
                                    .hash = kinds_no_hash,
                                    .equal = list_equal};

const cairn_type *cairn_list_type(void)
{
    return &kinds_list_type;
}
