# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""vectors: bodies under gravity, every intermediate vector a new object of floats."""

from bench_common import done, scaled


class Vector:
    __slots__ = ("x", "y", "z")

    def __init__(self, x, y, z):
        self.x = x
        self.y = y
        self.z = z

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y, self.z + other.z)

    def __sub__(self, other):
        return Vector(self.x - other.x, self.y - other.y, self.z - other.z)

    def __mul__(self, factor):
        return Vector(self.x * factor, self.y * factor, self.z * factor)

    def square(self):
        return self.x * self.x + self.y * self.y + self.z * self.z


class Body:
    def __init__(self, number):
        self.position = Vector(number * 1.5, number * number * 0.3, 1.0 / (number + 1))
        self.velocity = Vector(0.0, 0.01 * number, 0.0)
        self.mass = 1.0 + number % 3


def step(bodies, duration):
    for body in bodies:
        pull = Vector(0.0, 0.0, 0.0)
        for other in bodies:
            if other is not body:
                distance = other.position - body.position
                pull = pull + distance * (other.mass / (distance.square() + 0.01) ** 1.5)
        body.velocity = body.velocity + pull * duration
    for body in bodies:
        body.position = body.position + body.velocity * duration


def main():
    bodies = [Body(number) for number in range(24)]
    for _ in range(scaled(2800)):
        step(bodies, 0.001)
    return [round(body.position.x, 6) for body in bodies]


done("vectors", main())
