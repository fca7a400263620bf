/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* binary-trees: many short-lived complete trees beside one long-lived one; nodes of 24 bytes, as in the benchmarks
 * game. */

#include "bench.h"

typedef struct node {
    struct node *left;
    struct node *right;
    uint64_t mark;
} node;

static node *tree_make(unsigned depth, uint64_t mark)
{
    node *root = bench_alloc(sizeof *root);
    root->mark = mark;
    root->left = depth > 0 ? tree_make(depth - 1, mark + 1) : NULL;
    root->right = depth > 0 ? tree_make(depth - 1, mark + 2) : NULL;
    return root;
}

static uint64_t tree_sum(const node *root)
{
    return root == NULL ? 0 : root->mark + tree_sum(root->left) + tree_sum(root->right);
}

static void tree_free(node *root)
{
    if (root == NULL)
        return;
    tree_free(root->left);
    tree_free(root->right);
    free(root);
}

int main(int argc, char **argv)
{
    size_t rounds = bench_scaled(argc, argv, 45);
    uint64_t sum = 0;
    node *lasting = tree_make(17, 7);
    for (size_t i = 0; i < rounds; i++) {
        for (unsigned depth = 4; depth <= 16; depth += 4) {
            for (unsigned k = 0; k < 1u << (16 - depth); k++) {
                node *root = tree_make(depth, i + k);
                sum += tree_sum(root);
                tree_free(root);
            }
        }
    }
    sum += tree_sum(lasting);
    tree_free(lasting);
    return bench_done("binary-trees", sum);
}
