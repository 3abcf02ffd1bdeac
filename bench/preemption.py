#!/usr/bin/python3 -B
"""Measures how long pings wait while hooks compute back to back.

    bench/preemption.py build/release/kadenza [seconds]

A node runs policies/computing.lua, whose query takes about 50 ms. With none,
one and eight such queries in flight, the program sends a ping every half
millisecond, one at a time. The table shows the times of the pings.
"""

import pathlib
import socket
import sys
import time

from server import Failure, Server

POLICY = pathlib.Path(__file__).parent / "policies" / "computing.lua"
PAUSE_SECONDS = 0.0005
SENDER = b"2:id20:abcdefghij0123456789"
PING = b"d1:ad" + SENDER + b"e1:q4:ping1:t2:pp1:y1:qe"
COMPUTE = b"d1:ad" + SENDER + b"e1:q7:compute1:t2:cc1:y1:qe"


def connect(address):
    """Returns a socket that is connected to `address`."""
    host, port = address.rsplit(":", 1)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((host, int(port)))
    return sock


class Computing:
    """Keeps a number of queries that compute in flight."""

    def __init__(self, address, wanted):
        self.sock = connect(address)
        self.sock.setblocking(False)
        self.wanted, self.in_flight, self.done = wanted, 0, 0

    def refill(self):
        """Receives the replies, and sends as many new queries."""
        while self.in_flight > 0:
            try:
                self.sock.recv(2048)
            except BlockingIOError:
                break
            self.in_flight, self.done = self.in_flight - 1, self.done + 1
        while self.in_flight < self.wanted:
            self.sock.send(COMPUTE)
            self.in_flight += 1


def measure(address, wanted, seconds):
    """Returns the sorted times of pings, and how many queries computed."""
    computing, pings = Computing(address, wanted), connect(address)
    pings.settimeout(2)
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        computing.refill()
        begun = time.perf_counter()
        pings.send(PING)
        pings.recv(2048)
        took.append(time.perf_counter() - begun)
        time.sleep(PAUSE_SECONDS)
    return sorted(took), computing.done


def quantile(values, part):
    """Returns a quantile of sorted seconds, in microseconds."""
    return values[min(int(len(values) * part), len(values) - 1)] * 1e6


def main():
    """Prints a line for each number of queries in flight."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5
    command = (f"{sys.argv[1]} run --listen 127.0.0.1:0 --allow-local "
               f"--limits off --policy {POLICY}")
    print("computing  computed  pings   p50 us   p99 us   max us")
    for wanted in (0, 1, 8):
        with Server(command, None) as server:
            took, done = measure(server.address, wanted, seconds)
        print(f"{wanted:9}  {done:8}  {len(took):5}  {quantile(took, 0.5):7.0f}"
              f"  {quantile(took, 0.99):7.0f}  {quantile(took, 1):7.0f}")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"preemption: {failure}")
