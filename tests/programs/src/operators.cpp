/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* operators.cpp: operator new in all its forms. std::bad_alloc is thrown through new and caught, nothrow gives NULL,
 * the new-handler is called until it gives up, aligned and sized forms keep their promises. */

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t too_much = static_cast<std::size_t>(PTRDIFF_MAX) - 4096;
int handler_calls;
volatile std::size_t hidden = too_much; /* keeps the compiler from judging the size */

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                             \
            std::abort();                                                                                              \
        }                                                                                                              \
    } while (0)

template <typename Request> bool throws_bad_alloc(Request request) {
    try {
        request();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

struct alignas(256) Wide {
    char bytes[768];
};

struct Thrower {
    std::string text = std::string(500, 't');
    Thrower() { throw std::runtime_error("in a constructor"); }
};

void failing_requests() {
    for (int i = 0; i < 1000; i++) {
        REQUIRE(throws_bad_alloc([] { ::operator delete(::operator new(hidden)); }));
        REQUIRE(throws_bad_alloc([] { ::operator delete[](::operator new[](hidden)); }));
        REQUIRE(throws_bad_alloc([] { ::operator delete(::operator new(hidden, std::align_val_t(64)), std::align_val_t(64)); }));
        REQUIRE(throws_bad_alloc([] { ::operator delete[](::operator new[](hidden, std::align_val_t(64)), std::align_val_t(64)); }));
        REQUIRE(throws_bad_alloc([] { std::vector<char> big(hidden); }));
        REQUIRE(!::operator new(hidden, std::nothrow));
        REQUIRE(!::operator new[](hidden, std::nothrow));
        REQUIRE(!::operator new(hidden, std::align_val_t(64), std::nothrow));
        REQUIRE(!::operator new[](hidden, std::align_val_t(64), std::nothrow));
    }
}

void handler() {
    if (++handler_calls % 3 == 0) std::set_new_handler(nullptr);
}

void throwing_handler() {
    throw std::bad_alloc();
}

void handlers() {
    for (int i = 0; i < 100; i++) {
        std::set_new_handler(handler);
        REQUIRE(throws_bad_alloc([] { ::operator delete(::operator new(hidden)); }));
        std::set_new_handler(handler);
        REQUIRE(!::operator new(hidden, std::nothrow));
        std::set_new_handler(throwing_handler);
        REQUIRE(throws_bad_alloc([] { ::operator delete(::operator new(hidden)); }));
        REQUIRE(!::operator new[](hidden, std::nothrow));
        std::set_new_handler(nullptr);
    }
    REQUIRE(handler_calls == 600);
}

void shapes() {
    for (std::size_t size = 0; size < 5000; size += 7) {
        char *plain = static_cast<char *>(::operator new(size));
        char *other = static_cast<char *>(::operator new[](size));
        REQUIRE(plain && other && plain != other);
        REQUIRE(reinterpret_cast<std::uintptr_t>(plain) % (size < 16 ? 8 : 16) == 0);
        std::memset(plain, 1, size);
        std::memset(other, 2, size);
        ::operator delete(plain, size);
        ::operator delete[](other, size);
        for (std::size_t alignment = 8; alignment <= 65536; alignment *= 8) {
            void *aligned = ::operator new(size, std::align_val_t(alignment));
            REQUIRE(reinterpret_cast<std::uintptr_t>(aligned) % alignment == 0);
            std::memset(aligned, 3, size);
            ::operator delete(aligned, size, std::align_val_t(alignment));
        }
    }
    Wide *wide = new Wide[17];
    REQUIRE(reinterpret_cast<std::uintptr_t>(wide) % 256 == 0);
    delete[] wide;
}

void constructors_that_throw() {
    int caught = 0;
    for (int i = 0; i < 1000; i++) {
        try {
            delete new Thrower;
        } catch (const std::runtime_error &error) {
            caught += std::strcmp(error.what(), "in a constructor") == 0;
        }
    }
    REQUIRE(caught == 1000);
}

} // namespace

int main() {
    failing_requests();
    handlers();
    shapes();
    constructors_that_throw();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) threads.emplace_back([] { failing_requests(), shapes(), constructors_that_throw(); });
    for (auto &thread : threads) thread.join();
    std::puts("new and delete done");
    return 0;
}
