/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_bytes.c: bytes: data in one block with the object, followed by a 0. Atoms. Lock: the GIL. */

#include "object/kinds_state.h"

#include <string.h>

struct bytes {
    cairn_object object;
    uint64_t hash; /* 0: not yet known */
    size_t size;
    unsigned char data[];
};

static struct bytes *bytes_of(cairn_object *object)
{
    return (struct bytes *)(void *)object;
}

static struct bytes *make(cairn_runtime *runtime, size_t size)
{
    if (size > PTRDIFF_MAX / 2) {
        return kinds_fail(runtime, ENOMEM, "the data of bytes is too long");
    }
    cairn_object *object = cairn_object_alloc(runtime, &kinds_bytes_type, size + 1);
    if (!object) {
        return NULL;
    }
    struct bytes *bytes = bytes_of(object);
    bytes->hash = 0;
    bytes->size = size;
    bytes->data[size] = 0;
    return bytes;
}

static cairn_object *shared_empty(cairn_runtime *runtime, struct kinds *kinds)
{
    if (!kinds->empty_bytes) {
        struct bytes *bytes = make(runtime, 0);
        if (!bytes) {
            return NULL;
        }
        kinds->empty_bytes = &bytes->object;
        cairn_object_make_immortal(kinds->empty_bytes);
    }
    return cairn_incref(kinds->empty_bytes);
}

cairn_object *cairn_bytes_new(cairn_runtime *runtime, const void *data, size_t size)
{
    struct kinds *kinds = kinds_of(runtime);
    if (!kinds) {
        return NULL;
    }
    if (size == 0) {
        return shared_empty(runtime, kinds);
    }
    struct bytes *bytes = make(runtime, size);
    if (!bytes) {
        return NULL;
    }
    if (data) {
        memcpy(bytes->data, data, size);
    } else {
        memset(bytes->data, 0, size);
    }
    return &bytes->object;
}

const unsigned char *cairn_bytes_data(cairn_object *bytes)
{
    static const unsigned char nothing[1];
    return kinds_is(bytes, &kinds_bytes_type, "bytes_data") ? bytes_of(bytes)->data : nothing;
}

size_t cairn_bytes_size(cairn_object *bytes)
{
    return kinds_is(bytes, &kinds_bytes_type, "bytes_size") ? bytes_of(bytes)->size : 0;
}

cairn_object *cairn_bytes_concat(cairn_object *a, cairn_object *b)
{
    if (!kinds_is(a, &kinds_bytes_type, "bytes_concat") || !kinds_is(b, &kinds_bytes_type, "bytes_concat")) {
        return NULL;
    }
    const struct bytes *x = bytes_of(a), *y = bytes_of(b);
    if (x->size == 0 || y->size == 0) {
        return cairn_incref(x->size ? a : b);
    }
    struct bytes *both = make(kinds_runtime(a), x->size + y->size);
    if (!both) {
        return NULL;
    }
    memcpy(both->data, x->data, x->size);
    memcpy(both->data + x->size, y->data, y->size);
    return &both->object;
}

cairn_object *cairn_bytes_slice(cairn_object *object, size_t from, size_t to)
{
    if (!kinds_is(object, &kinds_bytes_type, "bytes_slice")) {
        return NULL;
    }
    const struct bytes *bytes = bytes_of(object);
    to = to < bytes->size ? to : bytes->size;
    from = from < to ? from : to;
    if (to - from == bytes->size) {
        return cairn_incref(object);
    }
    return cairn_bytes_new(kinds_runtime(object), bytes->data + from, to - from);
}

int cairn_bytes_compare(cairn_object *a, cairn_object *b)
{
    if (!kinds_is(a, &kinds_bytes_type, "bytes_compare") || !kinds_is(b, &kinds_bytes_type, "bytes_compare")) {
        return 0;
    }
    const struct bytes *x = bytes_of(a), *y = bytes_of(b);
    int order = memcmp(x->data, y->data, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static bool bytes_hash(cairn_object *self, uint64_t *hash)
{
    struct bytes *bytes = bytes_of(self);
    if (!bytes->hash) {
        bytes->hash = kinds_hash_bytes(kinds_runtime(self)->kinds, bytes->data, bytes->size);
    }
    *hash = bytes->hash;
    return true;
}

static bool bytes_equal(cairn_object *a, cairn_object *b)
{
    return b->type == &kinds_bytes_type && bytes_of(a)->size == bytes_of(b)->size &&
           memcmp(bytes_of(a)->data, bytes_of(b)->data, bytes_of(a)->size) == 0;
}

static size_t bytes_repr(cairn_object *self, char *text, size_t size)
{
    const struct bytes *bytes = bytes_of(self);
    struct kinds_text out = {text, size, 0};
    kinds_text_word(&out, "b'");
    for (size_t i = 0; i < bytes->size; i++) {
        unsigned char byte = bytes->data[i];
        bool plain = byte >= 0x20 && byte < 0x7f;
        const char *escape = byte == '\'' || byte == '\\' ? "\\" : "";
        kinds_text_format(&out, plain ? "%s%c" : "%s\\x%02x", escape, byte);
    }
    kinds_text_word(&out, "'");
    return out.length;
}

const cairn_type kinds_bytes_type = {.struct_size = sizeof(cairn_type),
                                     .name = "bytes",
                                     .size = offsetof(struct bytes, data),
                                     .item_size = 1,
                                     .repr = bytes_repr,
                                     .hash = bytes_hash,
                                     .equal = bytes_equal};

const cairn_type *cairn_bytes_type(void)
{
    return &kinds_bytes_type;
}
