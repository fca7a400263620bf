/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* cpu.h: what the hot paths ask of the processor by name, in as few instructions as it allows. Counters that one thread
 * at a time writes and any thread may read: C's atomics give a load, an addition and a store where x86-64 has one
 * instruction (not a locked one: there is
 * only one writer). Under ThreadSanitizer, which must see every access, and on other processors: plain C. */

#ifndef CAIRN_OS_CPU_H
#define CAIRN_OS_CPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CPU_SEEN_BY_SANITIZER 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define CPU_SEEN_BY_SANITIZER 1
#endif

#if defined(__x86_64__) && !defined(CPU_SEEN_BY_SANITIZER)
#define CPU_X86_64 1
#endif

/* Adds one. Hot path. */
static inline void cpu_increment16(_Atomic(uint16_t) *counter)
{
#ifdef CPU_X86_64
    __asm__("addw $1, %0" : "+m"(*counter) : : "cc");
#else
    uint16_t more = (uint16_t)(atomic_load_explicit(counter, memory_order_relaxed) + 1);
    atomic_store_explicit(counter, more, memory_order_relaxed);
#endif
}

static inline void cpu_increment64(_Atomic(uint64_t) *counter)
{
#ifdef CPU_X86_64
    __asm__("addq $1, %0" : "+m"(*counter) : : "cc");
#else
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
#endif
}

/* Subtracts one; true if that leaves zero or less (the counter wraps around). Hot path. */
static inline bool cpu_decrement16(_Atomic(uint16_t) *counter)
{
#ifdef CPU_X86_64
    bool done;
    __asm__("subw $1, %0" : "+m"(*counter), "=@ccle"(done));
    return done;
#else
    uint16_t left = (uint16_t)(atomic_load_explicit(counter, memory_order_relaxed) - 1);
    atomic_store_explicit(counter, left, memory_order_relaxed);
    return (int16_t)left <= 0;
#endif
}

/* The value less an _Atomic(uintptr_t) variable, in one instruction. A macro: through a pointer it would be two. Hot
 * path. */
#ifdef CPU_X86_64
#define CPU_MINUS(value, variable)                                                                                     \
    __extension__({                                                                                                    \
        uintptr_t left = (value);                                                                                      \
        __asm__("subq %1, %0" : "+r"(left) : "m"(variable) : "cc");                                                    \
        left;                                                                                                          \
    })
#else
#define CPU_MINUS(value, variable) ((value)-atomic_load_explicit(&(variable), memory_order_acquire))
#endif

/* The value and what another thread may have stored at `place`, with acquire order for what is read through the sum. In
 * one instruction. Hot path. */
static inline uintptr_t cpu_plus(uintptr_t value, const _Atomic(uintptr_t) *place)
{
#ifdef CPU_X86_64
    __asm__("addq %1, %0" : "+r"(value) : "m"(*place) : "cc");
    return value;
#else
    return value + atomic_load_explicit(place, memory_order_acquire);
#endif
}

/* Is that, relaxed, what is stored at `place`? Hot path. */
static inline bool cpu_holds(const _Atomic(uintptr_t) *place, uintptr_t value)
{
#ifdef CPU_X86_64
    bool same;
    __asm__("cmpq %2, %1" : "=@cce"(same) : "m"(*place), "r"(value));
    return same;
#else
    return atomic_load_explicit(place, memory_order_relaxed) == value;
#endif
}

/* The same of a byte. */
static inline bool cpu_holds_byte(const _Atomic(uint8_t) *place, uint8_t value)
{
#ifdef CPU_X86_64
    bool same;
    __asm__("cmpb %2, %1" : "=@cce"(same) : "m"(*place), "qi"(value));
    return same;
#else
    return atomic_load_explicit(place, memory_order_relaxed) == value;
#endif
}

/* Is the pointer in a variable that value? In one instruction, and without a register that would be taken from then to
 * where the pointer is needed. A macro: the variable keeps its type. Hot path. */
#ifdef CPU_X86_64
#define CPU_POINTS_TO(variable, value)                                                                                 \
    __extension__({                                                                                                    \
        bool same;                                                                                                     \
        __asm__("cmpq %2, %1" : "=@cce"(same) : "m"(variable), "r"(value));                                            \
        same;                                                                                                          \
    })
#else
#define CPU_POINTS_TO(variable, value) ((variable) == (value))
#endif

/* The value, in the register that functions return it in: gcc would copy it there at the end. Hot path. */
static inline void *cpu_returned(void *value)
{
#ifdef CPU_X86_64
    __asm__("" : "+a"(value));
#endif
    return value;
}

/* The value, in a register: gcc would compute an address anew wherever it is used. */
static inline void *cpu_kept(void *value)
{
#ifdef CPU_X86_64
    __asm__("" : "+r"(value));
#endif
    return value;
}

/* A number below 2^48 that the calling thread alone has while it lives. Hot path. */
static inline uintptr_t cpu_thread(void)
{
#ifdef __x86_64__
    uintptr_t thread; /* the address of what the C library keeps of the thread, where all find it */
    __asm__("movq %%fs:0, %0" : "=r"(thread));
    return thread;
#else
    return (uintptr_t)pthread_self();
#endif
}

/* Between two looks of a thread that waits for another without sleeping. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* The number of bits set. gcc would call a function of its own, which lies apart from the code that needs it. */
static inline unsigned cpu_count_bits(uint64_t word)
{
    word -= word >> 1 & UINT64_C(0x5555555555555555);
    word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
    word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (unsigned)(word * UINT64_C(0x0101010101010101) >> 56);
}

#endif
