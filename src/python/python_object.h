/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* python_object.h: what every CPython object begins with, and the parts of a type and of the commonest objects that
 * Cairn reads. CPython's ABI for extension modules fixes all of it: it is the same from 3.9 to 3.13 (with a GIL, without
 * Py_TRACE_REFS). Nothing here is written to, but the items of a tuple that nobody has any more. */

#ifndef CAIRN_PYTHON_PYTHON_OBJECT_H
#define CAIRN_PYTHON_PYTHON_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct python_object {
    ptrdiff_t count;
    const struct python_type *type;
};

typedef int python_visit(void *object, void *context);

struct python_type {
    struct python_object object;
    ptrdiff_t size;
    const char *name;
    ptrdiff_t basic_size, item_size;
    void (*dealloc)(void *object);
    void *slots[14]; /* tp_vectorcall_offset to tp_as_buffer */
    unsigned long flags;
    const char *doc;
    int (*traverse)(void *object, python_visit *visit, void *context);
    int (*clear)(void *object);
    void *compare;
    ptrdiff_t weaklist_offset; /* of a pointer to the first weak reference, from the object; 0: it has none */
    void *slots_behind[5];     /* tp_iter to tp_getset */
    const struct python_type *base;
    void *slots_inheritance[8]; /* tp_dict to tp_free */
    int (*is_gc)(void *object);
    void *slots_bases[5]; /* tp_bases to tp_weaklist */
    void *del;
    unsigned int version;
    void *finalize;
};

_Static_assert(offsetof(struct python_type, flags) == 168, "PyTypeObject.tp_flags");
_Static_assert(offsetof(struct python_type, traverse) == 184, "PyTypeObject.tp_traverse");
_Static_assert(offsetof(struct python_type, base) == 256, "PyTypeObject.tp_base");
_Static_assert(offsetof(struct python_type, is_gc) == 328, "PyTypeObject.tp_is_gc");
_Static_assert(offsetof(struct python_type, finalize) == 392, "PyTypeObject.tp_finalize");

/* In python_type.flags. */
#define PYTHON_MANAGED_WEAKREF (1ul << 3) /* from 3.12 on */
#define PYTHON_MANAGED_DICT (1ul << 4)    /* from 3.11 on */
#define PYTHON_HEAP_TYPE (1ul << 9)
#define PYTHON_HAVE_GC (1ul << 14)
#define PYTHON_LIST_SUBCLASS (1ul << 25)
#define PYTHON_TUPLE_SUBCLASS (1ul << 26)
#define PYTHON_DICT_SUBCLASS (1ul << 29)

/* Where, in words from the object, a managed dict is pointed to, and its values in 3.11. */
enum { PYTHON_MANAGED_DICT_AT = -3, PYTHON_MANAGED_VALUES_AT = -4 };

/* How PyListObject begins. */
struct python_list {
    struct python_object object;
    ptrdiff_t size;
    void **items;
};

/* PyTupleObject. */
struct python_tuple {
    struct python_object object;
    ptrdiff_t size;
    void *items[];
};

/* How PyDictObject begins. */
struct python_dict {
    struct python_object object;
    ptrdiff_t used;
    uint64_t version;
    void *keys;
    void *values;
};

/* How PyWeakReference begins. */
struct python_reference {
    struct python_object object;
    void *referent; /* None when it is dead */
};

static inline const struct python_type *python_type_of(const void *object)
{
    return ((const struct python_object *)object)->type;
}

/* CPython's PyObject_IS_GC: does a gc_head lie in front of it? */
static inline bool python_is_gc(void *object)
{
    const struct python_type *type = python_type_of(object);
    return (type->flags & PYTHON_HAVE_GC) != 0 && (type->is_gc == NULL || type->is_gc(object) != 0);
}

#endif
