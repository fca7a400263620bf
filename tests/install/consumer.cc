/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* consumer.cc: the header and the library seen from C++: an allocator for standard containers on a private heap. */

#include <cairn.h>

#include <cstdio>
#include <new>
#include <vector>

namespace {

template <typename T> struct heap_allocator {
    using value_type = T;

    cairn_heap *heap;

    explicit heap_allocator(cairn_heap *owner) : heap(owner) {}
    template <typename U> heap_allocator(const heap_allocator<U> &other) : heap(other.heap) {}

    T *allocate(std::size_t count)
    {
        void *block = cairn_alloc(heap, count * sizeof(T));
        if (block == nullptr) {
            throw std::bad_alloc();
        }
        return static_cast<T *>(block);
    }
    void deallocate(T *block, std::size_t) { cairn_free(heap, block); }
};

long sum_on(cairn_heap *heap)
{
    std::vector<long, heap_allocator<long>> numbers{heap_allocator<long>(heap)};
    for (long i = 0; i < 10000; i++) {
        numbers.push_back(i);
    }
    long sum = 0;
    for (long number : numbers) {
        sum += number;
    }
    return cairn_heap_of(numbers.data()) == heap ? sum : -1;
}

} // namespace

int main()
{
    cairn_heap *heap = cairn_heap_create(nullptr);
    if (heap == nullptr) {
        return 1;
    }
    long sum = sum_on(heap);
    cairn_heap_destroy(heap);
    return sum == 49995000 ? 0 : 2;
}
