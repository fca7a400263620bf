/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_model_policies.c: random operations against the model under every fit, with pools and without, on geometries
 * made by hand, and in memory given by the caller; on single and on shared heaps. */

#include "support/model.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { OPERATIONS = 150000 };

static void run(const char *geometry, cairn_fit fit, bool no_pools, size_t memory_size, bool single)
{
    struct model_plan plan = {
        .name = "policies",
        .geometry = geometry,
        .as_told = true,
        .single = single,
        .fit = fit,
        .no_pools = no_pools,
        .memory_size = memory_size,
        .purge_delay_ms = single ? CAIRN_PURGE_DELAY_DEFAULT_MS : 0,
        .threads = single ? 1 : 4,
        .operations = test_scaled(OPERATIONS),
        .blocks_max = single ? 3000 : 700,
    };
    assert_true(model_run(&plan) >= plan.operations);
}

static void every_fit(void **state)
{
    (void)state;
    for (cairn_fit fit = CAIRN_FIT_BEST; fit <= CAIRN_FIT_WORST; fit++) {
        run("classic", fit, false, 0, true);
        run("default", fit, false, 0, false);
    }
}

static void every_fit_without_pools(void **state)
{
    (void)state;
    for (cairn_fit fit = CAIRN_FIT_BEST; fit <= CAIRN_FIT_WORST; fit++) {
        run("default", fit, true, 0, true);
        run("default", fit, true, 0, false);
    }
}

static void custom_geometries(void **state)
{
    (void)state;
    const char *geometries[] = {
        "arena=16K,pool=4K,align=8,small=64,medium=1K",
        "arena=32M,pool=512K,align=16,small=1K,medium=16K",
        "arena=128K,pool=32K,align=8,small=256,medium=2K,reuse=1,return=0,first=24",
        "arena=4M,pool=64K,align=16,small=512,medium=8K,reuse=0,return=1,first=240",
    };
    for (size_t i = 0; i < COUNT_OF(geometries); i++) {
        run(geometries[i], CAIRN_FIT_BEST, false, 0, true);
        run(geometries[i], CAIRN_FIT_NEXT, false, 0, false);
    }
}

static void given_memory(void **state)
{
    (void)state;
    for (cairn_fit fit = CAIRN_FIT_BEST; fit <= CAIRN_FIT_WORST; fit++) {
        run("classic", fit, false, MIB(6), true);
        run("default", fit, false, MIB(8), false);
        run("default", fit, true, MIB(5), fit % 2 == 0);
    }
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fit),
        cmocka_unit_test(every_fit_without_pools),
        cmocka_unit_test(custom_geometries),
        cmocka_unit_test(given_memory),
    };
    return cmocka_run_group_tests_name("model, policies", tests, NULL, NULL);
}
