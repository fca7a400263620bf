# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""load.py PORT RATE SECONDS: asks a service for pages at an even rate, whether or not it has answered before, and
prints the answer times in milliseconds as JSON. A time counts from the moment at which the request was due, so what
waits behind a stop is seen to wait. Answers come to a few threads, one connection for a request."""

import json
import queue
import socket
import sys
import threading
import time

VISITORS = 20_000


def ask(port, visitor):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"GET /basket/{visitor} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    if not answer.startswith(b"HTTP/1.0 200 "):
        raise RuntimeError(answer[:200])


def worker(port, due, times, errors):
    while (item := due.get()) is not None:
        moment, visitor = item
        try:
            ask(port, visitor)
            times.append((time.perf_counter() - moment) * 1e3)
        except (OSError, RuntimeError) as error:
            errors.append(repr(error))


def main():
    port, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    due, times, errors = queue.SimpleQueue(), [], []
    workers = [threading.Thread(target=worker, args=(port, due, times, errors)) for _ in range(16)]
    for thread in workers:
        thread.start()
    start = time.perf_counter() + 0.1
    for number in range(int(rate * seconds)):
        moment = start + number / rate
        time.sleep(max(0, moment - time.perf_counter()))
        due.put((moment, number * 7919 % VISITORS))
    for _ in workers:
        due.put(None)
    for thread in workers:
        thread.join()
    warm = times[len(times) // 10:]
    warm.sort()
    percentile = {name: warm[min(len(warm) - 1, int(len(warm) * share))]
                  for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999))}
    print(json.dumps(percentile | {"longest": warm[-1], "answers": len(times), "errors": len(errors)}))
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
