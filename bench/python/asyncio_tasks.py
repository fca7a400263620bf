# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""asyncio: many short tasks that pass messages through queues and wait for each other's futures."""

import asyncio

from bench_common import done, scaled


async def produce(queue, count):
    for number in range(count):
        await queue.put({"number": number, "payload": f"message {number}"})
    await queue.put(None)


async def consume(queue):
    total = 0
    while (message := await queue.get()) is not None:
        total += len(message["payload"]) + message["number"] % 7
    return total


async def fan_out(width):
    async def leaf(number):
        await asyncio.sleep(0)
        return [number] * 4

    results = await asyncio.gather(*(leaf(number) for number in range(width)))
    return sum(map(sum, results))


async def work(rounds):
    total = 0
    for _ in range(rounds):
        queue = asyncio.Queue(maxsize=16)
        answers = await asyncio.gather(produce(queue, 1500), consume(queue), fan_out(1200))
        total += answers[1] + answers[2]
    return total


def main():
    return asyncio.run(work(scaled(100)))


done("asyncio", main())
