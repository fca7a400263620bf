# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""scheduler: a small operating system's scheduler: tasks of several kinds pass packets through queues."""

from bench_common import done, scaled

DEVICE, WORK = "device", "work"


class Packet:
    def __init__(self, kind, owner):
        self.kind = kind
        self.owner = owner
        self.datum = 0
        self.data = [0] * 4


class Task:
    def __init__(self, name, priority):
        self.name = name
        self.priority = priority
        self.waiting = []
        self.held = False
        self.runs = 0

    def take(self, packet):
        self.waiting.append(packet)

    def ready(self):
        return bool(self.waiting) and not self.held


class Worker(Task):
    def __init__(self, name, priority, handlers):
        super().__init__(name, priority)
        self.handlers = handlers
        self.count = 0

    def run(self):
        packet = self.waiting.pop(0)
        packet.owner = self.handlers[self.count % len(self.handlers)]
        packet.datum = 0
        for index in range(4):
            self.count += 1
            packet.data[index] = ord("A") + self.count % 26
        return packet.owner, packet


class Handler(Task):
    def __init__(self, name, priority, device, worker):
        super().__init__(name, priority)
        self.device = device
        self.worker = worker

    def run(self):
        packet = self.waiting.pop(0)
        if packet.kind == WORK and packet.datum < 4:
            sent = Packet(DEVICE, self)
            sent.datum = packet.data[packet.datum]
            packet.datum += 1
            self.waiting.append(packet)
            return self.device, sent
        if packet.kind == WORK:
            return self.worker, Packet(WORK, self.worker)
        return None, None


class Device(Task):
    def __init__(self, name, priority):
        super().__init__(name, priority)
        self.sum = 0

    def run(self):
        packet = self.waiting.pop(0)
        self.sum = (self.sum * 31 + packet.datum) % 1000003
        return packet.owner, packet


def schedule(tasks, steps):
    for step in range(steps):
        if step % 5 == 0:
            tasks[step // 5 % len(tasks)].held ^= True
        ready = [task for task in tasks if task.ready()]
        if not ready:
            continue
        task = max(ready, key=lambda task: (task.priority, -task.runs))
        task.runs += 1
        receiver, packet = task.run()
        if receiver is not None:
            receiver.take(packet)


def main():
    result = []
    for _ in range(scaled(170)):
        device = Device("device", 4)
        handlers = []
        worker = Worker("worker", 1, handlers)
        handlers += [Handler(f"handler{number}", 2 + number % 2, device, worker) for number in range(4)]
        for _ in range(6):
            worker.take(Packet(WORK, worker))
        tasks = [worker, device, *handlers]
        schedule(tasks, 4000)
        result.append((device.sum, [task.runs for task in tasks]))
    return result


done("scheduler", main())
