#!/usr/bin/env python3
"""Measures the memory of a node that has 10,000 hooks waiting.

    make RELEASE=1 && bench/waiting.py build/release/kadenza

Each query makes a hook wait. Resident memory is read before and after; the node
says itself how many wait.
"""

import os
import re
import signal
import socket
import sys
import time

import server

HOOKS = 10000
BURST = 50  # queries between two rests, so that no socket's buffer overflows
REST_SECONDS = 0.004
SECONDS = 20.0
WAITING = re.compile(r"\bwaiting=(\d+)")
POLICY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "policies",
                      "waiting.lua")


def query(number):
    """Returns a custom query of ours, in KRPC."""
    return (b"d1:ad2:id20:abcdefghij01234567891:ni%dee1:q4:wait1:t4:" % number
            + number.to_bytes(4, "big") + b"1:y1:qe")


def ask(address, count):
    """Sends so many queries."""
    host, port = address.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.2", 0))
        for number in range(count):
            sender.sendto(query(number), (host, int(port)))
            if number % BURST == 0:
                time.sleep(REST_SECONDS)


def waiting(node, least):
    """Returns how many hooks wait, once it is `least` or time is up."""
    deadline = time.monotonic() + SECONDS
    count = 0
    while count < least and time.monotonic() < deadline:
        os.kill(node.pid, signal.SIGUSR1)
        time.sleep(0.2)
        found = WAITING.findall(node.text())
        count = int(found[-1]) if found else 0
    return count


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "build/release/kadenza"
    command = (f"{program} run --listen 127.0.0.1:0 --allow-local --limits off "
               f"--policy {POLICY}")
    with server.Server(command, None) as node:
        before, _ = node.resident_kib()
        ask(node.address, HOOKS)
        count = waiting(node, HOOKS)
        after, _ = node.resident_kib()
    if count < HOOKS:
        sys.exit(f"only {count} of {HOOKS} hooks wait")
    print(f"{count} hooks wait: {(after - before) / 1024:.1f} MiB more, "
          f"{(after - before) * 1024 / count:.0f} bytes each")


if __name__ == "__main__":
    try:
        main()
    except server.Failure as failure:
        sys.exit(str(failure))
