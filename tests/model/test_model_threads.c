/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_model_threads.c: random operations against the model by 2 to 8 threads on a shared heap. Threads mail each
 * other blocks (remote frees), end, and are continued by new ones. 6.3 million operations. */

#include "support/model.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { OPERATIONS = 700000 };

static void run_threads(const char *geometry)
{
    static const unsigned threads[] = {2, 4, 8};
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        struct model_plan plan = {
            .name = "threads",
            .geometry = geometry,
            .single = false,
            .exact = i == 1,
            .min_alignment = i == 2 ? 16 : 0,
            .purge_delay_ms = i == 0 ? 0 : CAIRN_PURGE_DELAY_DEFAULT_MS,
            .threads = threads[i],
            .operations = test_scaled(OPERATIONS),
            .blocks_max = 6000 / threads[i],
        };
        assert_true(model_run(&plan) >= plan.operations);
    }
}

static void classic(void **state)
{
    (void)state;
    run_threads("classic");
}

static void cpython(void **state)
{
    (void)state;
    run_threads("cpython");
}

static void standard(void **state)
{
    (void)state;
    run_threads("default");
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classic),
        cmocka_unit_test(cpython),
        cmocka_unit_test(standard),
    };
    return cmocka_run_group_tests_name("model, threads", tests, NULL, NULL);
}
