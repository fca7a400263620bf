/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole_tree.c: see hole_tree.h. Each function exists for both orders: `by_address` is a constant where it is called,
 * and only the tree by address needs the way down, to put right what its holes say of their subtrees. */

#include "heap/hole_tree.h"

#define INLINE static inline __attribute__((always_inline))

/* The holes passed on the way down whose largest is to be found anew, which reads two holes beside each. */
struct way {
    struct chunk *hole[TREE_DEPTH_MAX];
    unsigned depth;
};

static uint64_t priority_of(const struct chunk *hole)
{
    uint64_t hash = ((uintptr_t)hole >> 4) * UINT64_C(0x9E3779B97F4A7C15);
    return (hash ^ (hash >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
}

INLINE bool before(const struct chunk *a, const struct chunk *b, bool by_address)
{
    if (by_address) {
        return a < b;
    }
    size_t size_a = chunk_size(a);
    size_t size_b = chunk_size(b);
    return size_a < size_b || (size_a == size_b && a < b);
}

INLINE void way_add(struct way *way, struct chunk *hole, bool by_address)
{
    if (by_address) {
        if (UNLIKELY(way->depth == TREE_DEPTH_MAX)) {
            static const char text[] = "cairn: the tree of holes is out of balance\n";
            os_write_error(text, sizeof text - 1);
            os_abort();
        }
        way->hole[way->depth++] = hole;
    }
}

static void way_update(const struct way *way)
{
    for (unsigned i = way->depth; i-- > 0;) {
        struct chunk *hole = way->hole[i];
        uint64_t low = chunk_header(hole) & CHUNK_LOW;
        size_t largest = low & CHUNK_SIZE;
        size_t left = tree_largest(hole->left);
        size_t right = tree_largest(hole->right);
        largest = left > largest ? left : largest;
        largest = right > largest ? right : largest;
        chunk_set(hole, low | (uint64_t)(largest / HOLE_UNIT) << 32);
    }
}

/* Parts a subtree into what comes before `hole` and what comes after, which become its subtrees. */
INLINE void split(struct chunk *tree, struct chunk *hole, struct way *way, bool by_address)
{
    struct chunk **low = &hole->left;
    struct chunk **high = &hole->right;
    while (tree) {
        way_add(way, tree, by_address);
        if (before(tree, hole, by_address)) {
            *low = tree;
            low = &tree->right;
            tree = tree->right;
        } else {
            *high = tree;
            high = &tree->left;
            tree = tree->left;
        }
    }
    *low = NULL;
    *high = NULL;
}

/* A subtree that a hole of `size` bytes joins. */
INLINE void note_larger(struct chunk *hole, size_t size, bool by_address)
{
    if (by_address && tree_largest(hole) < size) {
        chunk_set(hole, (chunk_header(hole) & CHUNK_LOW) | (uint64_t)(size / HOLE_UNIT) << 32);
    }
}

INLINE void add(struct chunk **root, struct chunk *hole, bool by_address)
{
    struct way way;
    way.depth = 0;
    uint64_t priority = priority_of(hole);
    struct chunk **link = root;
    while (*link && priority_of(*link) >= priority) {
        note_larger(*link, chunk_size(hole), by_address);
        link = before(hole, *link, by_address) ? &(*link)->left : &(*link)->right;
    }
    way_add(&way, hole, by_address);
    split(*link, hole, &way, by_address);
    *link = hole;
    way_update(&way);
}

/* Puts a hole's two subtrees in its place. */
INLINE void join(struct chunk **link, struct chunk *left, struct chunk *right, struct way *way, bool by_address)
{
    while (left && right) {
        if (priority_of(left) >= priority_of(right)) {
            way_add(way, left, by_address);
            *link = left;
            link = &left->right;
            left = left->right;
        } else {
            way_add(way, right, by_address);
            *link = right;
            link = &right->left;
            right = right->left;
        }
    }
    *link = left ? left : right;
}

/* A subtree with a larger hole than the one that leaves keeps its largest. */
INLINE void remove_hole(struct chunk **root, struct chunk *hole, bool by_address)
{
    struct way way;
    way.depth = 0;
    struct chunk **link = root;
    while (*link != hole) {
        ASSERT(*link != NULL);
        if (by_address && tree_largest(*link) == chunk_size(hole)) {
            way_add(&way, *link, by_address);
        }
        link = before(hole, *link, by_address) ? &(*link)->left : &(*link)->right;
    }
    join(link, hole->left, hole->right, &way, by_address);
    way_update(&way);
}

/* ---- by size ---- */

void tree_size_add(struct chunk **root, struct chunk *hole)
{
    add(root, hole, false);
}

void tree_size_remove(struct chunk **root, struct chunk *hole)
{
    remove_hole(root, hole, false);
}

struct chunk *tree_size_least(struct chunk *root, size_t size, uint64_t *visited)
{
    struct chunk *least = NULL;
    while (root) {
        ++*visited;
        if (chunk_size(root) >= size) {
            least = root;
            root = root->left;
        } else {
            root = root->right;
        }
    }
    return least;
}

struct chunk *tree_size_most(struct chunk *root, uint64_t *visited)
{
    while (root->right) {
        ++*visited;
        root = root->right;
    }
    ++*visited;
    return root;
}

/* ---- by address ---- */

void tree_address_add(struct chunk **root, struct chunk *hole)
{
    add(root, hole, true);
}

void tree_address_remove(struct chunk **root, struct chunk *hole)
{
    remove_hole(root, hole, true);
}

/* The lowest hole of at least `size` bytes in a subtree that has one. */
static struct chunk *lowest(struct chunk *root, size_t size, uint64_t *visited)
{
    for (;;) {
        ++*visited;
        if (tree_largest(root->left) >= size) {
            root = root->left;
        } else if (chunk_size(root) >= size) {
            return root;
        } else {
            root = root->right;
        }
    }
}

/* Goes down to `from`. A hole passed to its left lies behind `from`, and so do those to its right; of several such, the
 * last one passed has the lowest. */
struct chunk *tree_address_first(struct chunk *root, uintptr_t from, size_t size, uint64_t *visited)
{
    struct chunk *passed = NULL;
    while (root && tree_largest(root) >= size) {
        ++*visited;
        if ((uintptr_t)root < from) {
            root = root->right;
        } else {
            if (chunk_size(root) >= size || tree_largest(root->right) >= size) {
                passed = root;
            }
            root = root->left;
        }
    }
    if (!passed || chunk_size(passed) >= size) {
        return passed;
    }
    return lowest(passed->right, size, visited);
}

/* ---- check ---- */

struct walk {
    const struct chunk *last; /* in order */
    struct index_sum *sum;
    bool by_address;
};

static const char *check_hole(struct walk *walk, const struct chunk *hole)
{
    if (!chunk_is_hole(hole)) {
        return "a hole in a tree is in use";
    }
    if (walk->last && !before(walk->last, hole, walk->by_address)) {
        return "a tree of holes is out of order";
    }
    walk->last = hole;
    walk->sum->holes++;
    walk->sum->bytes += chunk_size(hole);
    walk->sum->marks += index_mark(hole);
    return NULL;
}

static SELDOM const char *check_subtree(struct walk *walk, const struct chunk *hole, unsigned depth)
{
    if (!hole) {
        return NULL;
    }
    if (depth == TREE_DEPTH_MAX) {
        return "a tree of holes is too deep";
    }
    size_t largest = chunk_size(hole);
    for (int side = 0; side < 2; side++) {
        const struct chunk *child = side ? hole->right : hole->left;
        if (child && priority_of(child) > priority_of(hole)) {
            return "a tree of holes is not a heap by priority";
        }
        largest = walk->by_address && tree_largest(child) > largest ? tree_largest(child) : largest;
        const char *fault = check_subtree(walk, child, depth + 1);
        fault = !fault && !side ? check_hole(walk, hole) : fault;
        if (fault) {
            return fault;
        }
    }
    return walk->by_address && largest != tree_largest(hole) ? "a hole does not know the largest of its subtree" : NULL;
}

SELDOM const char *tree_check(const struct chunk *root, bool by_address, struct index_sum *sum)
{
    struct walk walk = {NULL, sum, by_address};
    return check_subtree(&walk, root, 0);
}
