// SPDX-License-Identifier: MIT
// Copyright (c) 2026 The Cairn authors

// cxx_new.cpp: the C++ operators: every pair, failure with and without a new-handler, thrown through and caught.
// Prints a line per check that fails and returns 1 if any did. Built with -shared -DMODULE it is a module that a C
// program loads; its only function returns what happened to its request: "bad_alloc" or "allocated".

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static std::size_t opaque(std::size_t n)
{
    volatile std::size_t hidden = n;
    return hidden;
}

// Requests in functions of their own: the compiler may drop a pair of new and delete that it sees together.
__attribute__((noinline)) static char *grab(std::size_t size)
{
    return new char[opaque(size)];
}

static const std::size_t absurd = static_cast<std::size_t>(PTRDIFF_MAX) - 4096;

#ifdef MODULE

extern "C" const char *module_request(int nothrow)
{
    try {
        char *block = nothrow ? new (std::nothrow) char[opaque(absurd)] : grab(absurd);
        delete[] block;
        return block != nullptr ? "allocated" : "null";
    } catch (const std::bad_alloc &) {
        return "bad_alloc";
    }
}

#else

static int failures;

static void check(bool passed, const char *what)
{
    if (!passed) {
        std::printf("failed: %s\n", what);
        failures++;
    }
}

struct alignas(128) Wide {
    char bytes[200];
};

static bool aligned(const void *p, std::size_t alignment)
{
    return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

// ---- success ----

static void every_pair()
{
    const std::size_t sizes[] = {1, 16, 100, 1000, 40000, 3000000};
    for (int round = 0; round < 100; round++) {
        for (std::size_t size : sizes) {
            const std::align_val_t by{64};
            ::operator delete(::operator new(size));
            ::operator delete(::operator new(size), size);
            ::operator delete[](::operator new[](size));
            ::operator delete[](::operator new[](size), size);
            ::operator delete(::operator new(size, std::nothrow), std::nothrow);
            ::operator delete[](::operator new[](size, std::nothrow), std::nothrow);
            void *p = ::operator new(size, by);
            void *q = ::operator new[](size, by);
            void *r = ::operator new(size, by, std::nothrow);
            void *s = ::operator new[](size, by, std::nothrow);
            check(aligned(p, 64) && aligned(q, 64) && aligned(r, 64) && aligned(s, 64), "aligned new");
            ::operator delete(p, by);
            ::operator delete[](q, size, by);
            ::operator delete(r, by, std::nothrow);
            ::operator delete[](s, by, std::nothrow);
            ::operator delete(::operator new(size, by), size, by);
            ::operator delete[](::operator new[](size, by), by);
        }
    }
    void *zero = ::operator new(0);
    check(zero != nullptr, "new of 0 bytes");
    ::operator delete(zero);
    ::operator delete(nullptr);
    auto wide = std::make_unique<Wide[]>(7);
    check(aligned(wide.get(), 128), "an over-aligned type");
}

// ---- failure ----

template <typename Request> static bool throws_bad_alloc(Request request)
{
    try {
        request();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static void failing_requests()
{
    const std::size_t size = opaque(absurd);
    const std::align_val_t by{4096};
    check(throws_bad_alloc([=] { ::operator delete(::operator new(size)); }), "new throws");
    check(throws_bad_alloc([=] { ::operator delete[](::operator new[](size)); }), "new[] throws");
    check(throws_bad_alloc([=] { ::operator delete(::operator new(size, by), by); }), "aligned new throws");
    check(throws_bad_alloc([=] { ::operator delete[](::operator new[](size, by), by); }), "aligned new[] throws");
    check(::operator new(size, std::nothrow) == nullptr, "nothrow new");
    check(::operator new[](size, std::nothrow) == nullptr, "nothrow new[]");
    check(::operator new(size, by, std::nothrow) == nullptr, "aligned nothrow new");
    check(::operator new[](size, by, std::nothrow) == nullptr, "aligned nothrow new[]");
}

struct Counted {
    static int live;
    Counted()
    {
        live++;
    }
    ~Counted()
    {
        live--;
    }
};
int Counted::live;

// Frames between the throw and the catch are unwound.
static void deep(int depth)
{
    Counted here;
    std::string text(100, 'x');
    if (depth == 0) {
        delete[] grab(absurd);
    } else {
        deep(depth - 1);
    }
}

static void unwinding()
{
    check(throws_bad_alloc([] { deep(50); }), "bad_alloc through 50 frames");
    check(Counted::live == 0, "destructors on the way");
}

// ---- new-handlers ----

static int handler_calls;

static void give_up_at_third()
{
    if (++handler_calls == 3) {
        std::set_new_handler(nullptr);
    }
}

static void throw_other()
{
    handler_calls++;
    throw std::runtime_error("from the handler");
}

static void throw_bad()
{
    handler_calls++;
    throw std::bad_alloc();
}

static void handlers()
{
    std::set_new_handler(give_up_at_third);
    check(throws_bad_alloc([] { delete[] grab(absurd); }) && handler_calls == 3, "handler called 3 times");

    handler_calls = 0;
    std::set_new_handler(give_up_at_third);
    check(::operator new(opaque(absurd), std::nothrow) == nullptr &&handler_calls == 3, "handler in nothrow new");

    handler_calls = 0;
    std::set_new_handler(throw_bad);
    check(::operator new(opaque(absurd), std::nothrow) == nullptr &&handler_calls == 1, "nothrow new catches");
    check(::operator new[](opaque(absurd), std::align_val_t{64}, std::nothrow) == nullptr &&handler_calls == 2,
          "aligned nothrow new[] catches");

    bool caught = false;
    std::set_new_handler(throw_other);
    try {
        delete[] grab(absurd);
    } catch (const std::runtime_error &) {
        caught = true;
    }
    check(caught, "an exception of the handler's own");
    std::set_new_handler(nullptr);
}

// The handler makes room: run with CAIRN_LIMIT=64M, the reserve is most of it.
static char *reserve;

static void free_reserve()
{
    handler_calls++;
    if (reserve == nullptr) {
        std::set_new_handler(nullptr);
    }
    delete[] reserve;
    reserve = nullptr;
}

static void making_room()
{
    handler_calls = 0;
    reserve = grab(40u << 20);
    std::set_new_handler(free_reserve);
    char *second = grab(40u << 20);
    check(second != nullptr && handler_calls == 1 && reserve == nullptr, "the handler makes room");
    delete[] second;
    std::set_new_handler(nullptr);
}

// ---- everyday use ----

static void containers()
{
    std::map<std::string, std::vector<int>> index;
    for (int i = 0; i < 20000; i++) {
        index["key " + std::to_string(i % 1000)].push_back(i);
    }
    long sum = 0;
    for (const auto &[key, values] : index) {
        sum += static_cast<long>(values.size()) + static_cast<long>(key.size());
    }
    check(sum == 20000 + 10 * 5 + 90 * 6 + 900 * 7, "containers");
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++) {
        threads.emplace_back([i] {
            thread_local std::string mine(1000, static_cast<char>('a' + i));
            check(throws_bad_alloc([] { delete[] grab(absurd); }), "bad_alloc in a thread");
            check(mine[999] == 'a' + i, "thread_local");
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
}

int main(int argc, char **)
{
    every_pair();
    failing_requests();
    unwinding();
    handlers();
    containers();
    if (argc > 1) {
        making_room();
    }
    return failures != 0;
}

#endif
