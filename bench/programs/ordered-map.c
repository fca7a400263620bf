/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* ordered-map: linked structure: a treap of 60000 keys with payloads of their own under random inserts and
 * removals; its pointers are followed in every step, so the placement of blocks shows. */

#include "bench.h"

#define KEYS 120000

typedef struct node {
    struct node *left;
    struct node *right;
    uint64_t key;
    uint64_t priority;
    void *payload;
} node;

static node *rotate_right(node *n)
{
    node *up = n->left;
    n->left = up->right;
    up->right = n;
    return up;
}

static node *rotate_left(node *n)
{
    node *up = n->right;
    n->right = up->left;
    up->left = n;
    return up;
}

static node *insert(node *n, uint64_t key, uint64_t *random)
{
    if (n == NULL) {
        size_t size = 16 + bench_below(random, 112);
        n = bench_alloc(sizeof *n);
        *n = (node){.key = key, .priority = bench_random(random), .payload = bench_alloc(size)};
        bench_mark(n->payload, size, key * 3);
        return n;
    }
    if (key < n->key) {
        n->left = insert(n->left, key, random);
        return n->left->priority > n->priority ? rotate_right(n) : n;
    }
    if (key > n->key) {
        n->right = insert(n->right, key, random);
        return n->right->priority > n->priority ? rotate_left(n) : n;
    }
    return n;
}

static node *merge(node *low, node *high)
{
    if (low == NULL)
        return high;
    if (high == NULL)
        return low;
    if (low->priority > high->priority) {
        low->right = merge(low->right, high);
        return low;
    }
    high->left = merge(low, high->left);
    return high;
}

static uint64_t node_free(node *n)
{
    uint64_t mark = bench_marked(n->payload);
    free(n->payload);
    free(n);
    return mark;
}

static uint64_t remove_key(node **link, uint64_t key)
{
    while (*link != NULL && (*link)->key != key)
        link = key < (*link)->key ? &(*link)->left : &(*link)->right;
    node *n = *link;
    if (n == NULL)
        return 0;
    *link = merge(n->left, n->right);
    return node_free(n);
}

static uint64_t free_all(node *n)
{
    if (n == NULL)
        return 0;
    uint64_t sum = free_all(n->left) + free_all(n->right);
    return sum + node_free(n);
}

int main(int argc, char **argv)
{
    size_t steps = bench_scaled(argc, argv, 1200000);
    node *root = NULL;
    uint64_t random = BENCH_SEED, sum = 0;
    for (size_t i = 0; i < steps; i++) {
        uint64_t key = bench_below(&random, KEYS);
        if (i % 2 == 0) {
            root = insert(root, key, &random);
        } else {
            sum += remove_key(&root, key) * (i & 3);
        }
    }
    return bench_done("ordered-map", sum + free_all(root));
}
