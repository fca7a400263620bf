/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_model_limits.c: random operations against the model where memory runs out: at the heap's limit, and on a system
 * that refuses calls at random. Every refusal is NULL with ENOMEM and changes nothing. 2.7 million operations. */

#include "support/model.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { OPERATIONS = 50000 };

static const char *const presets[] = {"classic", "cpython", "default"};

/* `kind` 0: single; 1: shared, one thread; 2: four threads; 3: eight threads. */
static void run(const char *geometry, unsigned kind, size_t limit, unsigned refuse_per_thousand)
{
    static const unsigned threads[] = {1, 1, 4, 8};
    struct model_plan plan = {
        .name = limit != 0 ? "limit" : "refusals",
        .geometry = geometry,
        .single = kind == 0,
        .exact = kind == 1,
        .limit = limit,
        .purge_delay_ms = kind % 2 == 0 ? 0 : CAIRN_PURGE_DELAY_DEFAULT_MS,
        .threads = threads[kind],
        .operations = test_scaled(OPERATIONS),
        .blocks_max = 3000 / threads[kind],
        .refuse_per_thousand = refuse_per_thousand,
    };
    assert_true(model_run(&plan) >= plan.operations);
}

static void at_limits(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        for (unsigned kind = 0; kind < 4; kind++) {
            run(presets[p], kind, MIB(1), 0);
            run(presets[p], kind, MIB(4), 0);
        }
    }
}

static void on_a_system_that_refuses(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        for (unsigned kind = 0; kind < 4; kind++) {
            run(presets[p], kind, 0, 20);
            run(presets[p], kind, 0, 300);
        }
    }
}

static void at_limits_on_a_system_that_refuses(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        run(presets[p], 0, MIB(3), 100);
        run(presets[p], 3, MIB(3), 100);
    }
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_limits),
        cmocka_unit_test(on_a_system_that_refuses),
        cmocka_unit_test(at_limits_on_a_system_that_refuses),
    };
    return cmocka_run_group_tests_name("model, out of memory", tests, NULL, NULL);
}
