# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""expressions: symbolic sums, products and powers, built by operators, differentiated, simplified and evaluated."""

from bench_common import done, scaled


class Expression:
    __slots__ = ()

    def __add__(self, other):
        return Sum(self, other)

    def __mul__(self, other):
        return Product(self, other)


class Number(Expression):
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def derivative(self, name):
        return Number(0)

    def simple(self):
        return self

    def at(self, values):
        return self.value


class Symbol(Expression):
    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def derivative(self, name):
        return Number(int(name == self.name))

    def simple(self):
        return self

    def at(self, values):
        return values[self.name]


class Pair(Expression):
    __slots__ = ("left", "right")

    def __init__(self, left, right):
        self.left = left
        self.right = right


class Sum(Pair):
    __slots__ = ()

    def derivative(self, name):
        return self.left.derivative(name) + self.right.derivative(name)

    def simple(self):
        left, right = self.left.simple(), self.right.simple()
        if isinstance(left, Number):
            if isinstance(right, Number):
                return Number(left.value + right.value)
            if left.value == 0:
                return right
        if isinstance(right, Number) and right.value == 0:
            return left
        return Sum(left, right)

    def at(self, values):
        return (self.left.at(values) + self.right.at(values)) % 1000003


class Product(Pair):
    __slots__ = ()

    def derivative(self, name):
        return self.left.derivative(name) * self.right + self.left * self.right.derivative(name)

    def simple(self):
        left, right = self.left.simple(), self.right.simple()
        for one, two in ((left, right), (right, left)):
            if isinstance(one, Number) and one.value in (0, 1):
                return two if one.value else one
        if isinstance(left, Number) and isinstance(right, Number):
            return Number(left.value * right.value)
        return Product(left, right)

    def at(self, values):
        return self.left.at(values) * self.right.at(values) % 1000003


def polynomial(degree, shift):
    x, y = Symbol("x"), Symbol("y")
    total = Number(shift)
    for power in range(1, degree):
        term = Number(power + shift)
        for turn in range(power):
            term = term * (x if (turn + shift) % 3 else y)
        total = total + term
    return total


def main():
    result = []
    for shift in range(scaled(54)):
        once = polynomial(15, shift).derivative("x").simple()
        twice = once.derivative("y").simple()
        third = twice.derivative("x").simple()
        values = {"x": 3 + shift, "y": 5}
        result.append((once.at(values), twice.at(values), third.at(values)))
    return result


done("expressions", main())
