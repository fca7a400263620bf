/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* cairn_kinds.h: the built-in kinds of objects: int, float, str, bytes, tuple, list, dict, set, instance.
 *
 * Words. A *kind* is a type that Cairn brings, with its own policy of allocation on the runtime's heap: objects that
 * are shared, dead ones kept for reuse, growth ahead of need. What a kind keeps for reuse is a cache of the runtime
 * (cairn_cache): counted in bytes, bounded by the option cache_limit and by a limit of its own, shown by
 * cairn_runtime_print_stats(), emptied by cairn_object_trim(), by a full collection and when memory is short. A *key*
 * is an object that can be hashed: by value for int, float, str, bytes and tuples of keys; by its type's functions
 * otherwise; lists, dicts and sets are none.
 *
 * The rules of cairn_object.h hold: who owns what, which code may run when, threads. All functions are [gil] unless
 * they say otherwise. What runs other code, besides giving references up and making containers: comparing and hashing
 * objects of users' types. A container that this code changes meanwhile stays whole.
 *
 * Errors. As in cairn_object.h: NULL and errno, or the errno value, and a text in cairn_runtime_error(); ENOMEM leaves
 * everything as it was. That a key is not there is ENOENT, without a text. An object of another kind than a function is
 * for is a fault (CAIRN_FAULT_TYPE), and EINVAL if the handler returns.
 *
 * Equality and hashes are Python's: 1 and 1.0 are equal and have equal hashes, also inside of containers; str and bytes
 * are never equal; what is identical is equal (also a float that is not a number, to itself); lists and tuples are
 * equal item by item, dicts entry by entry without regard to order. Structures nested deeper than CAIRN_KINDS_DEPTH
 * levels are equal only if they are identical, cannot be hashed, and are cut short by cairn_object_repr(). Hashes of
 * str and bytes depend on a random number of the runtime's, see cairn_kinds_set_seed(). */

#ifndef CAIRN_KINDS_H
#define CAIRN_KINDS_H

#include "cairn_object.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CAIRN_KINDS_DEPTH 1000u

/* Makes the hashes of str and bytes repeatable. EBUSY once the runtime has made a first object of a kind. */
CAIRN_API int cairn_kinds_set_seed(cairn_runtime *runtime, uint64_t seed);

/* Equality as above between any two objects: identity, then a's type's `equal`, then b's. */
CAIRN_API bool cairn_kinds_equal(cairn_object *a, cairn_object *b);

/* The runtime's object that stands for no value: immortal, repr "None". */
CAIRN_API cairn_object *cairn_none(cairn_runtime *runtime) CAIRN_USE_RESULT;

/* ---------------------------------------------------------------------------------------------------------------
 * int: whole numbers of any size
 *
 * Policy: -5 to 256 are made once and shared for the life of the runtime; the blocks of others are kept when they die.
 * Numbers of 63 bits are stored in the object; larger ones as digits to the base 2^64 behind it. Arithmetic whose
 * operands or result do not fit 64 bits needs a library built with GMP (CAIRN_WITH_GMP); without it, it is ERANGE.
 * (GMP takes memory for its own use from malloc, and ends the process if there is none.)
 * ------------------------------------------------------------------------------------------------------------ */

CAIRN_API const cairn_type *cairn_int_type(void); /* [any] */

CAIRN_API cairn_object *cairn_int_new(cairn_runtime *runtime, int64_t value) CAIRN_USE_RESULT;

/* From digits to the base 2^64, least significant first; leading zeros are dropped. */
CAIRN_API cairn_object *cairn_int_from_digits(cairn_runtime *runtime, bool negative, const uint64_t *digits,
                                              size_t count) CAIRN_USE_RESULT;

/* From decimal text of `size` bytes (SIZE_MAX: up to the final 0): an optional sign and 1 to 4300 digits. EINVAL for
 * another text. */
CAIRN_API cairn_object *cairn_int_parse(cairn_runtime *runtime, const char *text, size_t size) CAIRN_USE_RESULT;

/* The value, if it fits 64 bits; else ERANGE. */
CAIRN_API int cairn_int_get(cairn_object *number, int64_t *value);

/* The nearest double; ERANGE if it is beyond all of them. */
CAIRN_API int cairn_int_to_double(cairn_object *number, double *value);

/* -1, 0 or 1. */
CAIRN_API int cairn_int_sign(cairn_object *number);

/* Writes the digits of the absolute value, least significant first, at most `room`; returns how many there are, 0 for
 * zero. */
CAIRN_API size_t cairn_int_digits(cairn_object *number, uint64_t *digits, size_t room);

/* Is arithmetic beyond 64 bits built in? [any] */
CAIRN_API bool cairn_int_is_unbounded(void);

/* a + b, a - b, a * b; the quotient rounded down and its remainder, which has b's sign (EDOM if b is 0); -a; a to the
 * power of `exponent`. ERANGE as said above. */
CAIRN_API cairn_object *cairn_int_add(cairn_runtime *runtime, cairn_object *a, cairn_object *b) CAIRN_USE_RESULT;
CAIRN_API cairn_object *cairn_int_subtract(cairn_runtime *runtime, cairn_object *a, cairn_object *b) CAIRN_USE_RESULT;
CAIRN_API cairn_object *cairn_int_multiply(cairn_runtime *runtime, cairn_object *a, cairn_object *b) CAIRN_USE_RESULT;
CAIRN_API cairn_object *cairn_int_divide(cairn_runtime *runtime, cairn_object *a, cairn_object *b) CAIRN_USE_RESULT;
CAIRN_API cairn_object *cairn_int_modulo(cairn_runtime *runtime, cairn_object *a, cairn_object *b) CAIRN_USE_RESULT;
CAIRN_API cairn_object *cairn_int_negate(cairn_runtime *runtime, cairn_object *a) CAIRN_USE_RESULT;
CAIRN_API cairn_object *cairn_int_power(cairn_runtime *runtime, cairn_object *a, unsigned exponent) CAIRN_USE_RESULT;

/* Below 0, 0, above 0: a is less than b, equal, greater. Needs no GMP. */
CAIRN_API int cairn_int_compare(cairn_object *a, cairn_object *b);

/* ---------------------------------------------------------------------------------------------------------------
 * float: a double. Policy: blocks of dead ones are kept.
 * ------------------------------------------------------------------------------------------------------------ */

/* Struct for the inline function; constant for life. */
typedef struct cairn_float {
    cairn_object object;
    double value;
} cairn_float;

CAIRN_API const cairn_type *cairn_float_type(void); /* [any] */
CAIRN_API cairn_object *cairn_float_new(cairn_runtime *runtime, double value) CAIRN_USE_RESULT;

/* The value of an object that is a float (not checked). */
static inline double cairn_float_get(const cairn_object *number)
{
    return ((const cairn_float *)(const void *)number)->value;
}

/* ---------------------------------------------------------------------------------------------------------------
 * str: text in UTF-8
 *
 * Policy: the bytes follow the object in one block; the hash is remembered; the length in code points is stored only if
 * it is not the number of bytes. The empty str and those of one ASCII character are shared. Interned texts are in a
 * table that does not keep them alive: two interned strs are equal only if they are identical, as long as one lives.
 * ------------------------------------------------------------------------------------------------------------ */

CAIRN_API const cairn_type *cairn_str_type(void); /* [any] */

/* A str of `size` bytes (SIZE_MAX: up to the final 0). EILSEQ if they are not UTF-8 (surrogates, overlong forms and
 * what is above U+10FFFF are not). */
CAIRN_API cairn_object *cairn_str_new(cairn_runtime *runtime, const char *text, size_t size) CAIRN_USE_RESULT;

/* The interned str of this text. */
CAIRN_API cairn_object *cairn_str_intern(cairn_runtime *runtime, const char *text, size_t size) CAIRN_USE_RESULT;

/* Interns a str: *str, a reference of the caller's, is replaced by the interned one if there is one already. */
CAIRN_API int cairn_str_intern_in_place(cairn_object **str);
CAIRN_API bool cairn_str_is_interned(cairn_object *str);

/* Strs that are interned in a runtime now. */
CAIRN_API size_t cairn_str_interned_count(cairn_runtime *runtime);

/* The bytes, followed by a 0; the str's own, constant for life. */
CAIRN_API const char *cairn_str_text(cairn_object *str);
CAIRN_API size_t cairn_str_size(cairn_object *str);   /* bytes, without the 0 */
CAIRN_API size_t cairn_str_length(cairn_object *str); /* code points */

/* The i-th code point; UINT32_MAX beyond the end. Takes time in proportion to `i` unless the str is ASCII. */
CAIRN_API uint32_t cairn_str_at(cairn_object *str, size_t i);

CAIRN_API cairn_object *cairn_str_concat(cairn_object *a, cairn_object *b) CAIRN_USE_RESULT;

/* The code points from `from` up to, not including, `to`; both are cut to the length. */
CAIRN_API cairn_object *cairn_str_slice(cairn_object *str, size_t from, size_t to) CAIRN_USE_RESULT;

/* Where `part` first occurs, in code points, at or behind `from`; SIZE_MAX if it does not. */
CAIRN_API size_t cairn_str_find(cairn_object *str, cairn_object *part, size_t from);

/* Below 0, 0, above 0, by code points. */
CAIRN_API int cairn_str_compare(cairn_object *a, cairn_object *b);

/* ---------------------------------------------------------------------------------------------------------------
 * bytes. Policy: in one block, hash remembered, the empty one is shared.
 * ------------------------------------------------------------------------------------------------------------ */

CAIRN_API const cairn_type *cairn_bytes_type(void); /* [any] */

/* Copies `size` bytes; `data` may be NULL: zeros. */
CAIRN_API cairn_object *cairn_bytes_new(cairn_runtime *runtime, const void *data, size_t size) CAIRN_USE_RESULT;
CAIRN_API const unsigned char *cairn_bytes_data(cairn_object *bytes); /* the object's own, followed by a 0 */
CAIRN_API size_t cairn_bytes_size(cairn_object *bytes);
CAIRN_API cairn_object *cairn_bytes_concat(cairn_object *a, cairn_object *b) CAIRN_USE_RESULT;
CAIRN_API cairn_object *cairn_bytes_slice(cairn_object *bytes, size_t from, size_t to) CAIRN_USE_RESULT;
CAIRN_API int cairn_bytes_compare(cairn_object *a, cairn_object *b);

/* ---------------------------------------------------------------------------------------------------------------
 * tuple: objects in a row, constant for life
 *
 * Policy: items follow in the same block; blocks of dead tuples of 1 to 20 items are kept, by length; the empty tuple
 * is shared. A tuple that holds only atoms and untracked tuples is untracked by the collection that finds it so.
 * ------------------------------------------------------------------------------------------------------------ */

/* Struct for the inline functions; the items follow it. */
typedef struct cairn_tuple {
    cairn_object object;
    size_t size;
} cairn_tuple;

CAIRN_API const cairn_type *cairn_tuple_type(void); /* [any] */

/* A tuple of these items, which it counts references to; none may be NULL. */
CAIRN_API cairn_object *cairn_tuple_new(cairn_runtime *runtime, cairn_object *const *items,
                                        size_t size) CAIRN_USE_RESULT;

/* A tuple to be filled: every item must be given, with cairn_tuple_init(), before any other code sees it or runs. */
CAIRN_API cairn_object *cairn_tuple_make(cairn_runtime *runtime, size_t size) CAIRN_USE_RESULT;

/* The items in a row. */
static inline cairn_object **cairn_tuple_items(cairn_object *tuple)
{
    return (cairn_object **)(void *)((char *)tuple + sizeof(cairn_tuple));
}

/* Gives item `i` of a tuple that is being filled; takes the reference over. Not checked. */
static inline void cairn_tuple_init(cairn_object *tuple, size_t i, cairn_object *item)
{
    cairn_tuple_items(tuple)[i] = item;
}

/* Of an object that is a tuple (not checked): the number of items; item `i`, borrowed, NULL beyond the end. */
static inline size_t cairn_tuple_size(const cairn_object *tuple)
{
    return ((const cairn_tuple *)(const void *)tuple)->size;
}

static inline cairn_object *cairn_tuple_at(cairn_object *tuple, size_t i)
{
    return i < cairn_tuple_size(tuple) ? cairn_tuple_items(tuple)[i] : NULL;
}

CAIRN_API cairn_object *cairn_tuple_concat(cairn_object *a, cairn_object *b) CAIRN_USE_RESULT;
CAIRN_API cairn_object *cairn_tuple_slice(cairn_object *tuple, size_t from, size_t to) CAIRN_USE_RESULT;
CAIRN_API bool cairn_tuple_contains(cairn_object *tuple, cairn_object *item);

/* ---------------------------------------------------------------------------------------------------------------
 * list: objects in a row
 *
 * Policy: one or two items lie in the list itself; more are a block of their own that grows by an eighth and a little (4,
 * 8, 16, 24, 32, 40, 52, 64, ...) and shrinks when less than half of it is used; blocks of dead lists are kept.
 * ------------------------------------------------------------------------------------------------------------ */

#define CAIRN_LIST_INSIDE 2

/* Struct for the inline functions. */
typedef struct cairn_list {
    cairn_object object;
    cairn_object **items; /* `inside`, or a block */
    size_t size;
    union {
        size_t room; /* of a block: for how many items */
        cairn_object *inside[CAIRN_LIST_INSIDE];
    };
} cairn_list;

CAIRN_API const cairn_type *cairn_list_type(void); /* [any] */

/* A list of these items, which it counts references to; with `size` 0 `items` may be NULL. */
CAIRN_API cairn_object *cairn_list_new(cairn_runtime *runtime, cairn_object *const *items,
                                       size_t size) CAIRN_USE_RESULT;

/* Of an object that is a list (not checked): the number of items; item `i`, borrowed, NULL beyond the end. A list may
 * be walked with these while it changes. */
static inline size_t cairn_list_size(const cairn_object *list)
{
    return ((const cairn_list *)(const void *)list)->size;
}

static inline cairn_object *cairn_list_at(const cairn_object *list, size_t i)
{
    const cairn_list *self = (const cairn_list *)(const void *)list;
    return i < self->size ? self->items[i] : NULL;
}

/* Each counts a reference to what it stores. EINVAL for an index beyond the end (the end itself is fine for insert). */
CAIRN_API int cairn_list_append(cairn_object *list, cairn_object *item);
CAIRN_API int cairn_list_insert(cairn_object *list, size_t i, cairn_object *item);
CAIRN_API int cairn_list_set(cairn_object *list, size_t i, cairn_object *item);
CAIRN_API int cairn_list_delete(cairn_object *list, size_t i);

/* Removes item `i` (SIZE_MAX: the last) and returns it; NULL and errno EINVAL if there is none. */
CAIRN_API cairn_object *cairn_list_pop(cairn_object *list, size_t i);

/* Puts the items of a list or tuple (it may be the list itself) in place of those from `from` up to `to` (cut to the
 * size); `items` NULL: none, which deletes. */
CAIRN_API int cairn_list_replace(cairn_object *list, size_t from, size_t to, cairn_object *items);

/* A new list of the items from `from` up to `to` (cut to the size). */
CAIRN_API cairn_object *cairn_list_slice(cairn_object *list, size_t from, size_t to) CAIRN_USE_RESULT;

/* Appends the items of a list or tuple. */
CAIRN_API int cairn_list_extend(cairn_object *list, cairn_object *items);
CAIRN_API int cairn_list_clear(cairn_object *list);
CAIRN_API int cairn_list_reverse(cairn_object *list);

/* A new tuple of the items. */
CAIRN_API cairn_object *cairn_list_to_tuple(cairn_object *list) CAIRN_USE_RESULT;

/* The index of the first item that is equal; SIZE_MAX if there is none. */
CAIRN_API size_t cairn_list_find(cairn_object *list, cairn_object *item);
CAIRN_API bool cairn_list_contains(cairn_object *list, cairn_object *item);

/* Where a walk over a dict or a set stands; start with CAIRN_POSITION_INIT. */
typedef struct cairn_position {
    size_t index;
    uint64_t version;
} cairn_position;

#define CAIRN_POSITION_INIT                                                                                            \
    {                                                                                                                  \
        0, 0                                                                                                           \
    }

/* ---------------------------------------------------------------------------------------------------------------
 * dict: from keys to values, in order of insertion
 *
 * Policy: entries lie densely in order of insertion; an index of 1, 2, 4 or 8 bytes an entry leads to them by hash. As
 * long as all keys are strs, entries have no room for hashes. Index and entries are one block, a *key table*; blocks of
 * dead dicts and of the smallest key tables are kept. An empty dict has no table. A dict is tracked only from the first
 * key or value on that can be part of a cycle, and untracked by a collection that finds none.
 * ------------------------------------------------------------------------------------------------------------ */

CAIRN_API const cairn_type *cairn_dict_type(void); /* [any] */
CAIRN_API cairn_object *cairn_dict_new(cairn_runtime *runtime) CAIRN_USE_RESULT;
CAIRN_API size_t cairn_dict_size(cairn_object *dict);

/* Adds an entry, or replaces the value of the one that has an equal key. EINVAL: the key cannot be hashed. */
CAIRN_API int cairn_dict_set(cairn_object *dict, cairn_object *key, cairn_object *value);

/* The value of a key, a new reference, and borrowed. NULL with errno ENOENT, or EINVAL if the key cannot be hashed. */
CAIRN_API cairn_object *cairn_dict_get(cairn_object *dict, cairn_object *key);
CAIRN_API cairn_object *cairn_dict_find(cairn_object *dict, cairn_object *key);
CAIRN_API bool cairn_dict_contains(cairn_object *dict, cairn_object *key);

/* The value of a key (a new reference); if it is not there it is added with `value` first. */
CAIRN_API cairn_object *cairn_dict_set_default(cairn_object *dict, cairn_object *key, cairn_object *value);

/* Removes an entry; ENOENT, or EINVAL if the key cannot be hashed. Pop returns its value. */
CAIRN_API int cairn_dict_delete(cairn_object *dict, cairn_object *key);
CAIRN_API cairn_object *cairn_dict_pop(cairn_object *dict, cairn_object *key);

/* Removes the newest entry and gives the caller its references; ENOENT if the dict is empty. */
CAIRN_API int cairn_dict_pop_last(cairn_object *dict, cairn_object **key, cairn_object **value);

/* The next entry, borrowed: 0, or ENOENT at the end, or EBUSY and the text "dict changed during iteration" if a key was
 * added or removed since the walk began (new values for old keys are fine). */
CAIRN_API int cairn_dict_next(cairn_object *dict, cairn_position *position, cairn_object **key, cairn_object **value);

CAIRN_API int cairn_dict_clear(cairn_object *dict);
CAIRN_API cairn_object *cairn_dict_copy(cairn_object *dict) CAIRN_USE_RESULT;

/* Sets all entries of `other`. EBUSY if a comparison changes it meanwhile; what was set until an error stays. */
CAIRN_API int cairn_dict_update(cairn_object *dict, cairn_object *other);

/* ---------------------------------------------------------------------------------------------------------------
 * set: keys, each once, in order of insertion. (Its functions are called hashset: cairn_set() stores a reference.)
 *
 * Policy: as for dict, its entries being keys alone.
 * ------------------------------------------------------------------------------------------------------------ */

CAIRN_API const cairn_type *cairn_hashset_type(void); /* [any] */
CAIRN_API cairn_object *cairn_hashset_new(cairn_runtime *runtime) CAIRN_USE_RESULT;
CAIRN_API size_t cairn_hashset_size(cairn_object *set);

/* Adds a key unless an equal one is there; removes one (ENOENT). EINVAL: it cannot be hashed. */
CAIRN_API int cairn_hashset_add(cairn_object *set, cairn_object *key);
CAIRN_API int cairn_hashset_remove(cairn_object *set, cairn_object *key);
CAIRN_API bool cairn_hashset_contains(cairn_object *set, cairn_object *key);

/* Removes the newest key and gives the caller the reference; NULL and errno ENOENT if the set is empty. */
CAIRN_API cairn_object *cairn_hashset_pop(cairn_object *set);

/* As cairn_dict_next(); the text is "set changed during iteration". */
CAIRN_API int cairn_hashset_next(cairn_object *set, cairn_position *position, cairn_object **key);

CAIRN_API int cairn_hashset_clear(cairn_object *set);
CAIRN_API cairn_object *cairn_hashset_copy(cairn_object *set) CAIRN_USE_RESULT;

/* New sets: of the keys of either, of both, of `a` and not of `b`. EBUSY if a comparison changes one meanwhile. */
CAIRN_API cairn_object *cairn_hashset_union(cairn_object *a, cairn_object *b) CAIRN_USE_RESULT;
CAIRN_API cairn_object *cairn_hashset_intersection(cairn_object *a, cairn_object *b) CAIRN_USE_RESULT;
CAIRN_API cairn_object *cairn_hashset_difference(cairn_object *a, cairn_object *b) CAIRN_USE_RESULT;
CAIRN_API bool cairn_hashset_is_subset(cairn_object *a, cairn_object *b);

/* ---------------------------------------------------------------------------------------------------------------
 * instance: an object of a class of the user's, with attributes by name
 *
 * Policy: attributes are in a key table as a dict's, without the dict; a class remembers how many its instances came to
 * have, and gives new ones that much room at once.
 * ------------------------------------------------------------------------------------------------------------ */

/* What a class is. The functions are called with the instance, their contracts are those of cairn_type's members. Start
 * from CAIRN_CLASS_OPTIONS_INIT. */
typedef struct cairn_class_options {
    size_t struct_size;                       /* sizeof(cairn_class_options) */
    const char *name;                         /* copied */
    cairn_object *base;                       /* a class whose attributes are this one's, too, and whose functions are,
                                                 where those below are NULL; or NULL */
    bool weak;                                /* instances can have weak references; a base's counts, too */
    void (*finalize)(cairn_object *instance); /* or NULL */
    size_t (*repr)(cairn_object *instance, char *text, size_t size); /* or NULL: "<NAME object at ADDRESS>" */
    bool (*hash)(cairn_object *instance, uint64_t *hash);            /* or NULL: by identity; NULL with `equal` given:
                                                                        cannot be hashed */
    bool (*equal)(cairn_object *a, cairn_object *b);                 /* or NULL: by identity */
} cairn_class_options;

#define CAIRN_CLASS_OPTIONS_INIT                                                                                       \
    {                                                                                                                  \
        sizeof(cairn_class_options), NULL, NULL, false, NULL, NULL, NULL, NULL                                         \
    }

/* A class is an object: a container, of its base and its attributes; kept alive by its instances. EINVAL: no name, or a
 * base that is no class. */
CAIRN_API const cairn_type *cairn_class_type(void); /* [any] */
CAIRN_API cairn_object *cairn_class_new(cairn_runtime *runtime, const cairn_class_options *options) CAIRN_USE_RESULT;
CAIRN_API const char *cairn_class_name(cairn_object *class_object);
CAIRN_API cairn_object *cairn_class_base(cairn_object *class_object); /* borrowed, or NULL */

CAIRN_API cairn_object *cairn_instance_new(cairn_object *class_object) CAIRN_USE_RESULT;
CAIRN_API bool cairn_is_instance(cairn_object *object); /* of any class */
CAIRN_API bool cairn_instance_is_of(cairn_object *object,
                                    cairn_object *class_object);      /* of this class, or of one based on it */
CAIRN_API cairn_object *cairn_instance_class(cairn_object *instance); /* borrowed */

/* Attributes of an instance or a class itself; names are strs (others are a fault). ENOENT if there is none. */
CAIRN_API int cairn_attribute_set(cairn_object *holder, cairn_object *name, cairn_object *value);
CAIRN_API int cairn_attribute_delete(cairn_object *holder, cairn_object *name);
CAIRN_API size_t cairn_attribute_count(cairn_object *holder);

/* Looks in the holder itself, then in its class (an instance's), then in the bases. A new reference, NULL with errno
 * ENOENT. cairn_attribute_own() looks in the holder alone. */
CAIRN_API cairn_object *cairn_attribute_get(cairn_object *holder, cairn_object *name);
CAIRN_API cairn_object *cairn_attribute_own(cairn_object *holder, cairn_object *name);

/* As cairn_dict_next(), over the holder's own; the text is "attributes changed during iteration". */
CAIRN_API int cairn_attribute_next(cairn_object *holder, cairn_position *position, cairn_object **name,
                                   cairn_object **value);

/* A namespace: an instance, with weak references, of a class "namespace" that is the runtime's. */
CAIRN_API cairn_object *cairn_namespace_new(cairn_runtime *runtime) CAIRN_USE_RESULT;

/* ---------------------------------------------------------------------------------------------------------------
 * Which kind an object is of. [any]
 * ------------------------------------------------------------------------------------------------------------ */

static inline bool cairn_is_int(const cairn_object *object)
{
    return object->type == cairn_int_type();
}

static inline bool cairn_is_float(const cairn_object *object)
{
    return object->type == cairn_float_type();
}

static inline bool cairn_is_str(const cairn_object *object)
{
    return object->type == cairn_str_type();
}

static inline bool cairn_is_bytes(const cairn_object *object)
{
    return object->type == cairn_bytes_type();
}

static inline bool cairn_is_tuple(const cairn_object *object)
{
    return object->type == cairn_tuple_type();
}

static inline bool cairn_is_list(const cairn_object *object)
{
    return object->type == cairn_list_type();
}

static inline bool cairn_is_dict(const cairn_object *object)
{
    return object->type == cairn_dict_type();
}

static inline bool cairn_is_hashset(const cairn_object *object)
{
    return object->type == cairn_hashset_type();
}

static inline bool cairn_is_class(const cairn_object *object)
{
    return object->type == cairn_class_type();
}

#ifdef __cplusplus
}
#endif

#endif /* CAIRN_KINDS_H */
