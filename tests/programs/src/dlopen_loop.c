/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* dlopen_loop.c: opens and closes a plugin many times, in one thread and in four, with failing look-ups between. The
 * plugin allocates in its constructor, keeps thread-local memory, and frees in its destructor; blocks it made are
 * freed here after it has gone. Usage: dlopen_loop PLUGIN */

#include <dlfcn.h>
#include <pthread.h>

#include "pattern.h"

enum { ROUNDS = 100, LEFT = 20 };

static const char *plugin;

static void *work(void *unused)
{
    void *left[LEFT];
    size_t count = 0;
    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        void *handle = dlopen(plugin, round % 2 ? RTLD_NOW : RTLD_LAZY);
        REQUIRE(handle);
        void *(*make)(size_t);
        *(void **)&make = dlsym(handle, "plugin_make");
        REQUIRE(make);
        REQUIRE(!dlsym(handle, "plugin_has_no_such_symbol"));
        REQUIRE(dlerror());
        REQUIRE(!dlopen("./no-such-plugin.so", RTLD_NOW));
        if (count == LEFT)
            while (count) {
                count--;
                pattern_check(left[count], 777, 7);
                free(left[count]);
            }
        left[count++] = make(777);
        REQUIRE(dlclose(handle) == 0);
    }
    while (count)
        free(left[--count]);
    return NULL;
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 2);
    plugin = argv[1];
    work(NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, work, NULL) == 0);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    puts("plugins came and went");
    return 0;
}
