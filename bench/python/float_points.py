# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""floats: points on curves, normalised and compared: float objects without end, and lists of small instances."""

from math import cos, sin, sqrt

from bench_common import done, scaled


class Point:
    __slots__ = ("x", "y", "z")

    def __init__(self, number):
        self.x = x = sin(number)
        self.y = cos(number) * 3
        self.z = x * x / 2

    def normalise(self):
        length = sqrt(self.x**2 + self.y**2 + self.z**2)
        self.x /= length
        self.y /= length
        self.z /= length

    def maximise(self, other):
        self.x = self.x if self.x > other.x else other.x
        self.y = self.y if self.y > other.y else other.y
        self.z = self.z if self.z > other.z else other.z
        return self


def largest(points):
    found = points[0]
    for point in points[1:]:
        found = found.maximise(point)
    return found


def main():
    total = 0.0
    for start in range(scaled(11)):
        points = [Point(start + number) for number in range(60000)]
        for point in points:
            point.normalise()
        found = largest(points)
        total += found.x + found.y + found.z
    return round(total, 6)


done("floats", main())
