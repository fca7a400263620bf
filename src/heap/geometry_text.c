/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* geometry_text.c: geometries as people write them: cairn_geometry_parse(). No state, no allocation. */

#include <errno.h>
#include <string.h>

#include "cairn.h"
#include "heap/text.h"

static const struct key {
    const char *name;
    const char *field; /* its name in cairn_geometry, with which cairn_geometry_error() begins */
    size_t offset;
    bool is_switch;
} keys[] = {
    {"arena", "arena_size", offsetof(cairn_geometry, arena_size), false},
    {"pool", "pool_size", offsetof(cairn_geometry, pool_size), false},
    {"align", "alignment", offsetof(cairn_geometry, alignment), false},
    {"small", "small_limit", offsetof(cairn_geometry, small_limit), false},
    {"medium", "medium_limit", offsetof(cairn_geometry, medium_limit), false},
    {"reuse", "reuse_at_once", offsetof(cairn_geometry, reuse_at_once), true},
    {"return", "return_at_once", offsetof(cairn_geometry, return_at_once), true},
    {"first", "first_block", offsetof(cairn_geometry, first_block), false},
};

enum { KEYS = sizeof keys / sizeof keys[0], SHOWN = 40 };

/* What is wrong, as one line. */
struct complaint {
    char *line;
    size_t size;
};

static void say(const struct complaint *complaint, const char *text)
{
    if (complaint->size) {
        text_append(complaint->line, complaint->size, text, SIZE_MAX);
    }
}

/* A part of the user's text, in quotes. */
static void quote(const struct complaint *complaint, const char *text, size_t length)
{
    if (complaint->size) {
        say(complaint, "'");
        text_append(complaint->line, complaint->size, text, length < SHOWN ? length : SHOWN);
        say(complaint, length > SHOWN ? "...'" : "'");
    }
}

static const struct key *key_of(const char *word, size_t length)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (strlen(keys[i].name) == length && strncmp(keys[i].name, word, length) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

static bool refuse_key(const struct complaint *complaint, const char *word, size_t length)
{
    say(complaint, "unknown key ");
    quote(complaint, word, length);
    say(complaint, "; valid: ");
    for (size_t i = 0; i < KEYS; i++) {
        say(complaint, i ? ", " : "");
        say(complaint, keys[i].name);
    }
    return false;
}

static bool refuse_value(const struct complaint *complaint, const struct key *key, const char *text)
{
    say(complaint, key->name);
    say(complaint, "=");
    quote(complaint, text, strcspn(text, ","));
    say(complaint, key->is_switch ? " must be 0 or 1" : " must be bytes, or a number with K or M, such as 16K");
    return false;
}

/* Stores the value of a key; *end is where it ends. */
static bool store(const struct complaint *complaint, const struct key *key, const char *text, cairn_geometry *geometry,
                  const char **end)
{
    size_t value;
    *end = text;
    if (!text_size(end, &value) || (**end != ',' && **end != '\0') || (key->is_switch && value > 1)) {
        return refuse_value(complaint, key, text);
    }
    char *field = (char *)geometry + key->offset;
    if (key->is_switch) {
        *(bool *)(void *)field = value == 1;
    } else {
        *(size_t *)(void *)field = value;
    }
    return true;
}

/* Reads "key=value,..." over what *geometry holds. */
static bool read_keys(const struct complaint *complaint, const char *text, cairn_geometry *geometry)
{
    unsigned seen = 0;
    for (;;) {
        size_t length = strcspn(text, "=,");
        const struct key *key = key_of(text, length);
        if (!key) {
            return refuse_key(complaint, text, length);
        }
        unsigned bit = 1u << (key - keys);
        if (seen & bit) {
            say(complaint, key->name);
            say(complaint, " is given twice");
            return false;
        }
        seen |= bit;
        if (text[length] != '=') {
            say(complaint, key->name);
            say(complaint, " needs a value, such as arena=1M,pool=16K");
            return false;
        }
        if (!store(complaint, key, text + length + 1, geometry, &text)) {
            return false;
        }
        if (*text == '\0') {
            return true;
        }
        text++;
    }
}

/* Says which value is out of range: the field that the sentence begins with. */
static void refuse_field(const struct complaint *complaint, const cairn_geometry *geometry, const char *sentence)
{
    size_t length = strcspn(sentence, " ");
    for (size_t i = 0; i < KEYS; i++) {
        if (strlen(keys[i].field) == length && strncmp(keys[i].field, sentence, length) == 0 && complaint->size) {
            say(complaint, keys[i].name);
            say(complaint, "=");
            const char *field = (const char *)geometry + keys[i].offset;
            text_append_number(complaint->line, complaint->size, *(const size_t *)(const void *)field);
            say(complaint, ": ");
        }
    }
    say(complaint, sentence);
}

int cairn_geometry_parse(const char *text, cairn_geometry *geometry, char *error, size_t error_size)
{
    struct complaint complaint = {error, error ? error_size : 0};
    cairn_geometry read;
    if (complaint.size) {
        error[0] = '\0';
    }
    if (cairn_geometry_preset(text, geometry) == 0) {
        return 0;
    }
    if (!text || !strchr(text, '=')) {
        say(&complaint, "unknown geometry ");
        quote(&complaint, text ? text : "", text ? strlen(text) : 0);
        say(&complaint, "; valid: classic, cpython, default, or fields such as arena=1M,pool=16K");
        return EINVAL;
    }
    (void)cairn_geometry_preset("default", &read);
    if (!read_keys(&complaint, text, &read)) {
        return EINVAL;
    }
    const char *fault = cairn_geometry_error(&read);
    if (fault) {
        refuse_field(&complaint, &read, fault);
        return EINVAL;
    }
    *geometry = read;
    return 0;
}
