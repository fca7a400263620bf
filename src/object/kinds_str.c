/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_str.c: strs: made of checked UTF-8, read by code points.
 *
 * Invariants: the text is valid UTF-8 followed by a 0; `wide` is set if it is not ASCII, and then the length in code
 * points lies behind the text, at the next multiple of 8; the hash is 0 or kinds_hash_bytes() of the text; an interned
 * str is in the table of the runtime as long as it lives. Strs are atoms: to make one runs no other code. Lock: the
 * GIL. */

#include "object/kinds_state.h"

#include <string.h>

/* What a text is. */
struct measure {
    size_t size;
    size_t length; /* code points */
};

/* ---- UTF-8 ---- */

static bool is_ascii(const struct kinds_str *str)
{
    return !str->wide;
}

/* Bytes of the sequence that starts with this byte of valid text. */
static size_t sequence_size(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static bool is_continuation(char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the valid sequence at `text`, which does not start with ASCII; 0 if it is none. */
static size_t check_sequence(const unsigned char *text, size_t left)
{
    unsigned char first = text[0];
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    size_t size = sequence_size(first);
    if (size > left) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if (!is_continuation((char)text[i])) {
            return 0;
        }
    }
    bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
    bool surrogate = first == 0xed && text[1] >= 0xa0;
    bool beyond = first == 0xf4 && text[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : size;
}

/* Bytes of ASCII from `text` on. */
static size_t ascii_run(const char *text, size_t size)
{
    size_t i = 0;
    for (uint64_t word; i + 8 <= size; i += 8) {
        memcpy(&word, text + i, 8);
        if (word & UINT64_C(0x8080808080808080)) {
            break;
        }
    }
    while (i < size && !(text[i] & 0x80)) {
        i++;
    }
    return i;
}

/* Counts the code points of a text; false if it is not UTF-8. */
static bool measure_text(const char *text, struct measure *measure)
{
    size_t at = 0, size = measure->size;
    measure->length = 0;
    while (at < size) {
        size_t run = ascii_run(text + at, size - at);
        at += run;
        measure->length += run;
        if (at < size) {
            size_t sequence = check_sequence((const unsigned char *)text + at, size - at);
            if (!sequence) {
                return false;
            }
            at += sequence;
            measure->length++;
        }
    }
    return true;
}

/* Where the i-th code point of a wide text begins; the size if there are not so many. */
static size_t offset_in_wide(const char *text, size_t size, size_t i)
{
    size_t at = 0;
    for (; i && at < size; i--) {
        at += sequence_size((unsigned char)text[at]);
    }
    return at;
}

static size_t offset_of(const struct kinds_str *str, size_t i)
{
    if (is_ascii(str)) {
        return i < str->size ? i : str->size;
    }
    return offset_in_wide(str->text, str->size, i);
}

/* Code points in the first `size` bytes. */
static size_t index_of(const struct kinds_str *str, size_t size)
{
    if (is_ascii(str)) {
        return size;
    }
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += !is_continuation(str->text[i]);
    }
    return count;
}

/* ---- made ---- */

static size_t length_offset(size_t size)
{
    return (size + 1 + 7) & ~(size_t)7;
}

static size_t length_of(const struct kinds_str *str)
{
    size_t length = str->size;
    if (str->wide) {
        memcpy(&length, str->text + length_offset(str->size), sizeof length);
    }
    return length;
}

/* A str whose text is to be written. */
static struct kinds_str *make(cairn_runtime *runtime, const struct measure *measure)
{
    if (measure->size > PTRDIFF_MAX / 2) {
        return kinds_fail(runtime, ENOMEM, "the text of a str is too long");
    }
    bool wide = measure->size != measure->length;
    size_t bytes = wide ? length_offset(measure->size) + sizeof(size_t) : measure->size + 1;
    cairn_object *object = cairn_object_alloc(runtime, &kinds_str_type, bytes);
    if (!object) {
        return NULL;
    }
    struct kinds_str *str = kinds_str_of(object);
    str->hash = 0;
    str->size = measure->size & ((UINT64_C(1) << 62) - 1);
    str->interned = false;
    str->wide = wide;
    str->text[measure->size] = 0;
    if (wide) {
        memcpy(str->text + length_offset(measure->size), &measure->length, sizeof measure->length);
    }
    return str;
}

/* The shared str in a place, made if it is not there. */
static cairn_object *share(cairn_runtime *runtime, cairn_object **place, const char *text, size_t size)
{
    if (UNLIKELY(!*place)) {
        struct kinds_str *str = make(runtime, &(struct measure){size, size});
        if (!str) {
            return NULL;
        }
        memcpy(str->text, text, size);
        *place = &str->object;
        cairn_object_make_immortal(*place);
    }
    return cairn_incref(*place);
}

static cairn_object *new_measured(cairn_runtime *runtime, const char *text, const struct measure *measure)
{
    struct kinds *kinds = kinds_of(runtime);
    if (UNLIKELY(!kinds)) {
        return NULL;
    }
    if (measure->size == 0) {
        return share(runtime, &kinds->empty_str, text, 0);
    }
    if (measure->size == 1) {
        return share(runtime, &kinds->shared_chars[(unsigned char)text[0]], text, 1);
    }
    struct kinds_str *str = make(runtime, measure);
    if (!str) {
        return NULL;
    }
    memcpy(str->text, text, measure->size);
    return &str->object;
}

cairn_object *cairn_str_new(cairn_runtime *runtime, const char *text, size_t size)
{
    struct measure measure = {.size = size == SIZE_MAX ? strlen(text) : size};
    if (!measure_text(text, &measure)) {
        return kinds_fail(runtime, EILSEQ, "the text of a str is not UTF-8");
    }
    return new_measured(runtime, text, &measure);
}

/* ---- read ---- */

const char *cairn_str_text(cairn_object *str)
{
    return kinds_is(str, &kinds_str_type, "str_text") ? kinds_str_of(str)->text : "";
}

size_t cairn_str_size(cairn_object *str)
{
    return kinds_is(str, &kinds_str_type, "str_size") ? kinds_str_of(str)->size : 0;
}

size_t cairn_str_length(cairn_object *str)
{
    return kinds_is(str, &kinds_str_type, "str_length") ? length_of(kinds_str_of(str)) : 0;
}

uint32_t cairn_str_at(cairn_object *object, size_t i)
{
    if (!kinds_is(object, &kinds_str_type, "str_at")) {
        return UINT32_MAX;
    }
    const struct kinds_str *str = kinds_str_of(object);
    size_t at = offset_of(str, i);
    if (at >= str->size) {
        return UINT32_MAX;
    }
    const unsigned char *text = (const unsigned char *)str->text + at;
    size_t size = sequence_size(text[0]);
    uint32_t point = size == 1 ? text[0] : text[0] & (0x7fu >> size);
    for (size_t k = 1; k < size; k++) {
        point = point << 6 | (text[k] & 0x3f);
    }
    return point;
}

cairn_object *cairn_str_concat(cairn_object *a, cairn_object *b)
{
    if (!kinds_is(a, &kinds_str_type, "str_concat") || !kinds_is(b, &kinds_str_type, "str_concat")) {
        return NULL;
    }
    const struct kinds_str *x = kinds_str_of(a), *y = kinds_str_of(b);
    if (x->size == 0 || y->size == 0) {
        return cairn_incref(x->size ? a : b);
    }
    struct kinds_str *both = make(kinds_runtime(a), &(struct measure){x->size + y->size, length_of(x) + length_of(y)});
    if (!both) {
        return NULL;
    }
    memcpy(both->text, x->text, x->size);
    memcpy(both->text + x->size, y->text, y->size);
    return &both->object;
}

cairn_object *cairn_str_slice(cairn_object *object, size_t from, size_t to)
{
    if (!kinds_is(object, &kinds_str_type, "str_slice")) {
        return NULL;
    }
    const struct kinds_str *str = kinds_str_of(object);
    size_t length = length_of(str);
    to = to < length ? to : length;
    from = from < to ? from : to;
    if (to - from == length) {
        return cairn_incref(object);
    }
    size_t start = offset_of(str, from);
    size_t size = is_ascii(str) ? to - from : offset_in_wide(str->text + start, str->size - start, to - from);
    return new_measured(kinds_runtime(object), str->text + start, &(struct measure){size, to - from});
}

size_t cairn_str_find(cairn_object *object, cairn_object *part, size_t from)
{
    if (!kinds_is(object, &kinds_str_type, "str_find") || !kinds_is(part, &kinds_str_type, "str_find")) {
        return SIZE_MAX;
    }
    const struct kinds_str *str = kinds_str_of(object), *sought = kinds_str_of(part);
    if (from > length_of(str)) {
        return SIZE_MAX;
    }
    size_t start = offset_of(str, from);
    const char *found = memmem(str->text + start, str->size - start, sought->text, sought->size);
    return found ? index_of(str, (size_t)(found - str->text)) : SIZE_MAX;
}

/* UTF-8 sorts by bytes as its code points do. */
int cairn_str_compare(cairn_object *a, cairn_object *b)
{
    if (!kinds_is(a, &kinds_str_type, "str_compare") || !kinds_is(b, &kinds_str_type, "str_compare")) {
        return 0;
    }
    const struct kinds_str *x = kinds_str_of(a), *y = kinds_str_of(b);
    int order = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

/* ---- as an object ---- */

uint64_t kinds_str_hash_slow(struct kinds_str *str)
{
    const struct kinds *kinds = kinds_runtime(&str->object)->kinds;
    str->hash = kinds_hash_bytes(kinds, str->text, str->size);
    return str->hash;
}

static bool str_hash(cairn_object *self, uint64_t *hash)
{
    *hash = kinds_str_hash(kinds_str_of(self));
    return true;
}

static bool str_equal(cairn_object *a, cairn_object *b)
{
    return b->type == &kinds_str_type && kinds_str_same(kinds_str_of(a), kinds_str_of(b));
}

static void str_dealloc(cairn_object *self)
{
    struct kinds *kinds = kinds_str_of(self)->interned ? kinds_runtime(self)->kinds : NULL;
    if (kinds) {
        kinds_intern_remove(kinds, kinds_str_of(self));
    }
}

static const char *escape_of(char byte)
{
    switch (byte) {
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

/* The text in quotes, quotes of its own and control characters escaped; others as they are. */
static size_t str_repr(cairn_object *self, char *text, size_t size)
{
    const struct kinds_str *str = kinds_str_of(self);
    struct kinds_text out = {text, size, 0};
    char quote = memchr(str->text, '\'', str->size) && !memchr(str->text, '"', str->size) ? '"' : '\'';
    kinds_text_bytes(&out, &quote, 1);
    for (size_t i = 0; i < str->size; i++) {
        char byte = str->text[i];
        const char *escape = escape_of(byte);
        if (escape) {
            kinds_text_word(&out, escape);
        } else if (byte == quote) {
            kinds_text_format(&out, "\\%c", byte);
        } else if ((unsigned char)byte < 0x20 || byte == 0x7f) {
            kinds_text_format(&out, "\\x%02x", (unsigned)byte);
        } else {
            kinds_text_bytes(&out, &byte, 1);
        }
    }
    kinds_text_bytes(&out, &quote, 1);
    return out.length;
}

const cairn_type kinds_str_type = {.struct_size = sizeof(cairn_type),
                                   .name = "str",
                                   .size = offsetof(struct kinds_str, text),
                                   .item_size = 1,
                                   .dealloc = str_dealloc,
                                   .repr = str_repr,
                                   .hash = str_hash,
                                   .equal = str_equal};

const cairn_type *cairn_str_type(void)
{
    return &kinds_str_type;
}
