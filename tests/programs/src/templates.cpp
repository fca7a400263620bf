/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* templates.cpp: a C++ program that is heavy both to compile (templates, <regex>, ranges of containers) and to run
 * (strings, maps, shared pointers, streams). It prints one line per part; the lines do not depend on addresses. */

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace {

std::uint64_t state = 88172645463325252ull;

std::uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

std::uint64_t mix(std::uint64_t sum, const std::string &text) {
    for (unsigned char c : text) sum = (sum ^ c) * 1099511628211ull;
    return sum;
}

struct Node {
    std::string name;
    std::vector<std::shared_ptr<Node>> children;
    std::weak_ptr<Node> parent;
};

std::shared_ptr<Node> tree(int depth, const std::shared_ptr<Node> &parent) {
    auto node = std::make_shared<Node>();
    node->name = std::string(next() % 60, static_cast<char>('a' + depth));
    node->parent = parent;
    for (int i = 0; depth > 0 && i < 4; i++) node->children.push_back(tree(depth - 1, node));
    return node;
}

std::uint64_t sum_of(const Node &node) {
    std::uint64_t sum = node.name.size() + (node.parent.expired() ? 0 : 1);
    for (const auto &child : node.children) sum += sum_of(*child);
    return sum;
}

template <typename Map> std::uint64_t churn(int rounds) {
    Map map;
    for (int i = 0; i < rounds; i++) {
        auto key = std::to_string(next() % 3000);
        if (next() % 3 == 0) map.erase(key);
        else map[key].push_back(std::string(next() % 90, 'x'));
    }
    std::map<std::string, std::size_t> sizes;
    for (const auto &[key, list] : map) sizes[key] = list.size();
    std::uint64_t sum = 14695981039346656037ull;
    for (const auto &[key, size] : sizes) sum = mix(sum, key + "=" + std::to_string(size));
    return sum;
}

using Value = std::variant<int, std::string, std::vector<double>, std::tuple<std::string, std::set<int>>>;

std::size_t variants() {
    std::deque<Value> values;
    for (int i = 0; i < 40000; i++) {
        switch (next() % 4) {
        case 0: values.emplace_back(i); break;
        case 1: values.emplace_back(std::string(next() % 200, 'v')); break;
        case 2: values.emplace_back(std::vector<double>(next() % 50, 0.5)); break;
        default: values.emplace_back(std::make_tuple(std::string("t"), std::set<int>{i, i + 1, i + 2}));
        }
        if (values.size() > 500) values.pop_front();
    }
    std::size_t sum = 0;
    for (const auto &value : values) sum = sum * 31 + value.index();
    return sum;
}

std::size_t words() {
    std::ostringstream text;
    for (int i = 0; i < 3000; i++) text << "pool" << next() % 100 << (i % 9 == 0 ? ".\n" : ", ");
    const std::string all = text.str();
    const std::regex pattern("([a-z]+)([0-9]{2})[.,]");
    return static_cast<std::size_t>(
        std::distance(std::sregex_iterator(all.begin(), all.end(), pattern), std::sregex_iterator()));
}

std::uint64_t threads() {
    std::vector<std::list<std::string>> made(4);
    std::vector<std::thread> pool;
    for (std::size_t t = 0; t < made.size(); t++)
        pool.emplace_back([&made, t] {
            for (int i = 0; i < 20000; i++) made[t].push_back(std::string(static_cast<std::size_t>(i) % 100, 't'));
        });
    for (auto &thread : pool) thread.join();
    std::uint64_t sum = 0;
    for (auto &list : made)
        for (auto &text : list) sum += text.size();
    return sum;
}

} // namespace

int main() {
    std::cout << "tree " << sum_of(*tree(7, nullptr)) << "\n";
    std::cout << "map " << churn<std::map<std::string, std::vector<std::string>>>(60000) << "\n";
    std::cout << "unordered " << churn<std::unordered_map<std::string, std::list<std::string>>>(60000) << "\n";
    std::cout << "variants " << variants() << "\n";
    std::cout << "words " << words() << "\n";
    std::cout << "threads " << threads() << "\n";
    std::function<int(int)> fib = [&fib](int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); };
    std::cout << "function " << fib(15) << "\n";
    return 0;
}
