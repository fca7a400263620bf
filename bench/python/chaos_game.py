# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""chaos: a fractal by the chaos game on a spline: short-lived points and vectors with operators."""

import random

from bench_common import done, scaled


class Vector:
    def __init__(self, x=0.0, y=0.0):
        self.x = x
        self.y = y

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    def __sub__(self, other):
        return Vector(self.x - other.x, self.y - other.y)

    def __rmul__(self, factor):
        return Vector(factor * self.x, factor * self.y)

    def length(self):
        return (self.x * self.x + self.y * self.y) ** 0.5


class Spline:
    """A curve of degree 3 through the hull of its points, by de Boor's rule of repeated means."""

    def __init__(self, points):
        self.points = points

    def at(self, share):
        points = self.points
        while len(points) > 1:
            points = [(1 - share) * one + share * two for one, two in zip(points, points[1:])]
        return points[0]


def main():
    chance = random.Random(1234)
    splines = [
        Spline([Vector(chance.random() * 4, chance.random() * 4) for _ in range(4)]) for _ in range(3)
    ]
    point, seen, travelled = Vector(2.0, 2.0), {}, 0.0
    for _ in range(scaled(110000)):
        target = chance.choice(splines).at(chance.random())
        step = 0.5 * (target - point)
        point = point + step
        travelled += step.length()
        cell = int(point.x * 50), int(point.y * 50)
        seen[cell] = seen.get(cell, 0) + 1
    return len(seen), max(seen.values()), round(travelled, 6)


done("chaos", main())
