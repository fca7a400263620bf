#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors

# redis: a server on a socket of its own under the allocator of the environment; the client runs without it
# (its processor time counts in, its memory does not: the server's peak is higher). Argument: number of requests.

set -eu
requests=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
redis-server --port 0 --unixsocket "$folder/socket" --save '' --appendonly no --dir "$folder" \
    >"$folder/log" 2>&1 &
server=$!
unset LD_PRELOAD
tries=0
until redis-cli -s "$folder/socket" ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then
        kill "$server" 2>/dev/null || true
        cat "$folder/log" >&2
        exit 1
    fi
    sleep 0.05
done
redis-benchmark -s "$folder/socket" -n "$requests" -r 200000 -d 100 -P 16 -c 20 -q \
    -t set,get,incr,lpush,lpop,sadd,hset,zadd >"$folder/benchmark" 2>&1
redis-cli -s "$folder/socket" shutdown nosave >/dev/null 2>&1 || true
wait "$server"
echo "redis $requests"
