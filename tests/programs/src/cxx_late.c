/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* cxx_late.c: a C program that meets C++ late or never. `cxx_late MODULE [nothrow]` loads a C++ module, with a runtime
 * of its own that nobody else sees, and prints what became of a request the module cannot be granted. Without
 * arguments it calls operator new itself, in a process that has no C++ runtime. */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc < 2) {
        void *(*operator_new)(size_t) = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "_Znwm");
        printf("%p\n", operator_new(PTRDIFF_MAX - 4096));
        return 0;
    }
    void *module = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) {
        printf("%s\n", dlerror());
        return 1;
    }
    const char *(*request)(int) = (const char *(*)(int))dlsym(module, "module_request");
    puts(request(argc > 2));
    return dlerror() == NULL ? 0 : 1;
}
