/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* string-table: a chained hash table from strings to strings that grows, looks up, replaces and deletes. */

#include "bench.h"

#define KEYS 300000

typedef struct entry {
    struct entry *next;
    char *key;
    char *value;
} entry;

typedef struct table {
    entry **buckets;
    size_t bucket_count;
    size_t entry_count;
} table;

static size_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ (hash >> 29));
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(bench_alloc(size), text, size);
}

static void table_grow(table *t)
{
    size_t count = t->bucket_count * 2;
    entry **buckets = bench_checked(calloc(count, sizeof *buckets));
    for (size_t i = 0; i < t->bucket_count; i++) {
        for (entry *e = t->buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            entry **bucket = &buckets[hash_text(e->key) & (count - 1)];
            e->next = *bucket;
            *bucket = e;
        }
    }
    free(t->buckets);
    t->buckets = buckets;
    t->bucket_count = count;
}

/* The link that points to the key's entry, or to NULL. */
static entry **table_find(table *t, const char *key)
{
    entry **link = &t->buckets[hash_text(key) & (t->bucket_count - 1)];
    while (*link != NULL && strcmp((*link)->key, key) != 0)
        link = &(*link)->next;
    return link;
}

static void table_set(table *t, const char *key, const char *value)
{
    entry **link = table_find(t, key);
    if (*link != NULL) {
        free((*link)->value);
        (*link)->value = copy_text(value);
        return;
    }
    entry *e = bench_alloc(sizeof *e);
    *e = (entry){.next = NULL, .key = copy_text(key), .value = copy_text(value)};
    *link = e;
    if (++t->entry_count > t->bucket_count)
        table_grow(t);
}

static void entry_free(entry *e)
{
    free(e->key);
    free(e->value);
    free(e);
}

/* Removes the key; returns the length of its value, 0 if absent. */
static size_t table_remove(table *t, const char *key)
{
    entry **link = table_find(t, key);
    entry *e = *link;
    if (e == NULL)
        return 0;
    *link = e->next;
    size_t length = strlen(e->value);
    entry_free(e);
    t->entry_count--;
    return length;
}

static void make_value(char *text, uint64_t *random)
{
    size_t length = bench_skewed_size(random, 256) % 250;
    memset(text, 'v', length);
    text[length] = '\0';
}

int main(int argc, char **argv)
{
    size_t steps = bench_scaled(argc, argv, 1300000);
    table t = {.buckets = bench_checked(calloc(16, sizeof(entry *))), .bucket_count = 16};
    uint64_t random = BENCH_SEED, sum = 0;
    char key[48], value[256];
    for (size_t i = 0; i < steps; i++) {
        snprintf(key, sizeof key, "session:%zu:name", bench_below(&random, KEYS));
        if (bench_below(&random, 3) == 0) {
            sum += table_remove(&t, key) * (i & 7);
        } else {
            make_value(value, &random);
            table_set(&t, key, value);
        }
    }
    sum += t.entry_count;
    for (size_t i = 0; i < t.bucket_count; i++) {
        for (entry *e = t.buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            sum += strlen(e->value);
            entry_free(e);
        }
    }
    free(t.buckets);
    return bench_done("string-table", sum);
}
