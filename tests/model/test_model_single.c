/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_model_single.c: random operations against the model on single heaps: every geometry, exact or not, both
 * alignments, with one thread and with several under one lock (as under a GIL); and packed. 8 million operations. */

#include "support/model.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { ALONE = 400000, UNDER_A_LOCK = 400000 };

static void run(const char *geometry, bool exact, size_t min_alignment, unsigned threads, size_t operations)
{
    struct model_plan plan = {
        .name = "single",
        .geometry = geometry,
        .single = true,
        .exact = exact,
        .min_alignment = min_alignment,
        .purge_delay_ms = exact ? 0 : CAIRN_PURGE_DELAY_DEFAULT_MS,
        .threads = threads,
        .operations = test_scaled(operations),
        .blocks_max = 4000 / threads,
    };
    assert_true(model_run(&plan) >= plan.operations);
}

static void run_options(const char *geometry)
{
    for (unsigned variant = 0; variant < 4; variant++) {
        run(geometry, variant & 1, variant & 2 ? 16 : 8, 1, ALONE);
    }
    run(geometry, false, 0, 4, UNDER_A_LOCK);
}

static void classic(void **state)
{
    (void)state;
    run_options("classic");
}

static void cpython(void **state)
{
    (void)state;
    run_options("cpython");
}

static void standard(void **state)
{
    (void)state;
    run_options("default");
}

static void packed(void **state)
{
    (void)state;
    for (unsigned variant = 0; variant < 4; variant++) {
        struct model_plan plan = {
            .name = "packed",
            .geometry = "default",
            .as_told = true,
            .single = true,
            .packed = true,
            .exact = variant == 1,
            .min_alignment = 16,
            .limit = variant == 2 ? KIB(6000) : 0,
            .purge_delay_ms = CAIRN_PURGE_DELAY_DEFAULT_MS,
            .threads = variant == 3 ? 4 : 1,
            .operations = test_scaled(ALONE),
            .blocks_max = variant == 3 ? 1000 : 4000,
        };
        assert_true(model_run(&plan) >= plan.operations);
    }
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classic),
        cmocka_unit_test(cpython),
        cmocka_unit_test(standard),
        cmocka_unit_test(packed),
    };
    return cmocka_run_group_tests_name("model, single heaps", tests, NULL, NULL);
}
