#!/usr/bin/env python3
"""Measures the memory of 10,000 pending hook calls.

    make RELEASE=1 && bench/pending_hooks.py build/release/kadenza

Each query starts a hook that waits. The program reads the resident memory
before and after, and the number of pending hooks from the node's statistics.
"""

import os
import re
import signal
import socket
import sys
import time

import server

HOOKS = 10000
BURST = 50  # queries between two rests: a socket's buffer must not overflow
REST_SECONDS = 0.004
SECONDS = 20.0
PENDING = re.compile(r"\bpending_hooks=(\d+)")
POLICY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "policies",
                      "waiting.lua")


def query(number):
    """Returns a custom KRPC query."""
    return (b"d1:ad2:id20:abcdefghij01234567891:ni%dee1:q4:wait1:t4:" % number
            + number.to_bytes(4, "big") + b"1:y1:qe")


def send_queries(address, count):
    """Sends `count` queries."""
    host, port = address.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.2", 0))
        for number in range(count):
            sender.sendto(query(number), (host, int(port)))
            if number % BURST == 0:
                time.sleep(REST_SECONDS)


def count_pending(node, least):
    """Returns the number of pending hooks, once it is `least` or time is up."""
    deadline = time.monotonic() + SECONDS
    count = 0
    while count < least and time.monotonic() < deadline:
        os.kill(node.pid, signal.SIGUSR1)
        time.sleep(0.2)
        found = PENDING.findall(node.text())
        count = int(found[-1]) if found else 0
    return count


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "build/release/kadenza"
    command = (f"{program} run --listen 127.0.0.1:0 --allow-local --limits off "
               f"--policy {POLICY}")
    with server.Server(command, None) as node:
        before, _ = node.resident_kib()
        send_queries(node.address, HOOKS)
        count = count_pending(node, HOOKS)
        after, _ = node.resident_kib()
    if count < HOOKS:
        sys.exit(f"only {count} of {HOOKS} hooks are pending")
    print(f"{count} pending hooks: {(after - before) / 1024:.1f} MiB more, "
          f"{(after - before) * 1024 / count:.0f} bytes each")


if __name__ == "__main__":
    try:
        main()
    except server.Failure as failure:
        sys.exit(str(failure))
