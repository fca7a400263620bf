/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_model_shared.c: random operations against the model on shared heaps, one thread: every geometry, exact or not,
 * all alignments. 4.8 million operations. */

#include "support/model.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { OPERATIONS = 400000 };

static void run_options(const char *geometry)
{
    static const size_t alignments[] = {0, 8, 16};
    for (unsigned variant = 0; variant < 4; variant++) {
        struct model_plan plan = {
            .name = "shared",
            .geometry = geometry,
            .single = false,
            .exact = variant & 1,
            .min_alignment = alignments[variant % COUNT_OF(alignments)],
            .purge_delay_ms = variant & 2 ? 0 : CAIRN_PURGE_DELAY_DEFAULT_MS,
            .threads = 1,
            .operations = test_scaled(OPERATIONS),
            .blocks_max = variant & 1 ? 500 : 5000,
        };
        assert_true(model_run(&plan) >= plan.operations);
    }
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

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classic),
        cmocka_unit_test(cpython),
        cmocka_unit_test(standard),
    };
    return cmocka_run_group_tests_name("model, shared heaps", tests, NULL, NULL);
}
