/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* thread_locals.cpp: destructors of thread_local objects that free what their thread made, allocate again, and hand
 * blocks to objects destroyed later; in many threads, and in the main thread at exit. */

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

std::mutex lock;
std::vector<std::unique_ptr<std::string>> inherited; /* what threads left at their end */
unsigned long destroyed;

struct Late {
    std::vector<std::string> texts;
    ~Late() {
        std::vector<std::string> copy(texts);
        copy.push_back(std::string(3000, 'z'));
        std::lock_guard<std::mutex> guard(lock);
        destroyed += copy.size();
        inherited.push_back(std::make_unique<std::string>(200, 'i'));
        if (inherited.size() > 20) inherited.erase(inherited.begin(), inherited.begin() + 10);
    }
};

struct Early {
    std::map<int, std::unique_ptr<char[]>> blocks;
    ~Early();
};

thread_local Late late;
thread_local Early early;

Early::~Early() {
    for (int i = 0; i < 100; i++) late.texts.push_back(std::string(static_cast<std::size_t>(i) * 7, 'e'));
    void *raw = std::malloc(70000);
    if (!raw) std::abort();
    std::free(raw);
}

void use() {
    late.texts.push_back("used");
    for (int i = 0; i < 200; i++) early.blocks[i * 31 % 127] = std::make_unique<char[]>(static_cast<std::size_t>(1 + i * 13));
}

} // namespace

int main() {
    for (int round = 0; round < 25; round++) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 8; i++) threads.emplace_back(use);
        for (auto &thread : threads) thread.join();
    }
    use();
    std::printf("%lu texts destroyed, at most 20 inherited: %s\n", destroyed, inherited.size() <= 20 ? "yes" : "no");
    return 0;
}
