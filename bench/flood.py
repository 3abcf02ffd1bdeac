#!/usr/bin/python3 -B
"""Measures how long pings wait, and how many are lost, while others attack.

    bench/flood.py build/release/kadenza [--seconds 5] [--only burst,stores]

An honest client sends a ping every two milliseconds, one at a time (five a
second in the case `flood 1000`); attackers
send from other addresses of 127.0.0.0/8, with the default limits. Without
`allow_local` in its limits each address would have its own subnet, as it has
here. The cases:

    quiet            no attack
    stores           signed values, as fast as they can, from one address
    stores 8         the same from 8 addresses
    flood            50,000 pings a second from one address
    flood 1000       the same from 1,000 addresses
    hook             a custom query that computes for 1 ms, 500 a second
    burst KIND       400 queries at once from one address, ten times

The node runs on core 0, the others on the other cores. On a machine that does
other work, begin the command with `chrt --rr 10` as root, so that this work does
not count.
"""

import argparse
import ctypes
import ctypes.util
import json
import multiprocessing
import os
import pathlib
import select
import socket
import time

from server import Server

POLICY = pathlib.Path(__file__).parent / "policies" / "slow.lua"
PAUSE_SECONDS = 0.002
MODEST_SECONDS = 0.2
LOST_SECONDS = 1.0
SENDER = b"2:id20:abcdefghij0123456789"
TARGET = b"6:target20:" + b"k" * 20
PING = b"d1:ad" + SENDER + b"e1:q4:ping1:t2:pp1:y1:qe"
SIGNED = 8  # records of a store


def string(text):
    """Returns a bencoded string."""
    return b"%d:%s" % (len(text), text)


# ----------------------------------------------------------------- queries --

class Signer:
    """Signs records with a key pair of its own, with libsodium."""

    def __init__(self, seed):
        self.sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
        self.public = ctypes.create_string_buffer(32)
        self.secret = ctypes.create_string_buffer(64)
        self.sodium.crypto_sign_seed_keypair(
            self.public, self.secret, seed.to_bytes(32, "little"))

    def record(self, value, seq, is_bad):
        """Returns a bencoded record of a store."""
        covered = (b"d3:key20:" + b"k" * 20 + b"3:seqi%de" % seq +
                   b"4:type5:value1:v" + string(value) + b"e")
        signature = ctypes.create_string_buffer(64)
        self.sodium.crypto_sign_detached(
            signature, None, covered, ctypes.c_ulonglong(len(covered)),
            self.secret)
        raw = bytearray(signature.raw)
        raw[0] ^= is_bad
        return (b"d1:k32:" + self.public.raw + b"3:seqi%de" % seq +
                b"3:sig64:" + bytes(raw) + b"1:v" + string(value) + b"e")


def store_bodies(count, is_bad=False):
    """Returns `count` lists of records, each with signatures of its own."""
    signer = Signer(os.getpid() * 7919 + time.time_ns() % 7919)
    return [b"6:valuesl" + b"".join(
        signer.record(b"v%d.%d" % (i, n), i + 1, is_bad)
        for n in range(SIGNED)) + b"e" for i in range(count)]


def query(name, arguments, number):
    """Returns a query."""
    return (b"d1:ad" + SENDER + arguments + b"e1:q" + string(name) +
            b"1:t4:%04d1:y1:qe" % (number % 10000))


def ask(sock, datagram):
    """Returns the reply to a query."""
    sock.send(datagram)
    sock.settimeout(2)
    return sock.recv(2048)


def store_queries(sock, bodies):
    """Returns stores with a token of this address."""
    reply = ask(sock, query(b"find_value", TARGET + b"4:type5:value", 0))
    token = reply[reply.index(b"5:token") + len("5:token"):]
    size = int(token[:token.index(b":")])
    token = token[token.index(b":") + 1:][:size]
    return [query(b"store", TARGET + b"5:token" + string(token) +
                  b"4:type5:value" + body, i)
            for i, body in enumerate(bodies)]


def read_queries(_sock, count):
    """Returns queries for a page of records."""
    return [query(b"find_value", TARGET + b"4:type5:value", i)
            for i in range(count)]


def hook_queries(_sock, count):
    """Returns queries that a hook computes for."""
    return [query(b"slow", b"", i) for i in range(count)]


def ping_queries(_sock, count):
    """Returns pings."""
    return [query(b"ping", b"", i) for i in range(count)]


def connect(address, own):
    """Returns a socket from the address `own` to `address`."""
    host, port = address.rsplit(":", 1)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((own, 0))
    sock.connect((host, int(port)))
    return sock


# --------------------------------------------------------------- attackers --

def drain(socks):
    """Reads what has arrived."""
    for sock in select.select(socks, [], [], 0)[0]:
        try:
            while True:
                sock.recv(2048)
        except BlockingIOError:
            pass


def send(sock, datagram):
    """Sends a datagram, unless the socket is full."""
    try:
        sock.send(datagram)
    except BlockingIOError:
        pass


def attack(socks, queries, rate, seconds):
    """Sends the queries again and again, `rate` a second."""
    begun, sent = time.monotonic(), 0
    while time.monotonic() < begun + seconds:
        due = int((time.monotonic() - begun) * rate) - sent
        for _ in range(due):
            own = queries[sent % len(socks)]
            send(socks[sent % len(socks)], own[sent // len(socks) % len(own)])
            sent += 1
        drain(socks[:8])
        time.sleep(0.0005)
    return sent


def attackers(case, address, seconds, ready):
    """Runs in a process of its own: prepares a case, and attacks."""
    make, addresses, rate, burst = case
    if os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO):
        os.sched_setparam(0, os.sched_param(1))  # below the pings
    socks = [connect(address, f"127.1.{i // 250}.{1 + i % 250}")
             for i in range(addresses)]
    queries = [make(sock) for sock in socks[:8]]
    queries += [queries[0]] * (len(socks) - len(queries))
    for sock in socks:
        sock.setblocking(False)
    ready.set()
    if not burst:
        attack(socks, queries, rate, seconds)
        return
    begun = time.monotonic()
    for i in range(10):
        for datagram in queries[0][:burst]:
            send(socks[0], datagram)
        end = begun + (i + 1) * seconds / 10
        while time.monotonic() < end:
            drain(socks)
            time.sleep(0.001)


# ------------------------------------------------------------------- pings --

def measure(address, seconds, pause):
    """Returns the sorted times of pings, and how many were lost."""
    sock = connect(address, "127.2.0.1")
    sock.settimeout(LOST_SECONDS)
    took, lost, end = [], 0, time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        number += 1
        datagram = query(b"ping", b"", number)
        wanted = b"1:t4:%04d" % (number % 10000)
        begun = time.perf_counter()
        try:
            sock.send(datagram)
            while wanted not in sock.recv(2048):
                pass
            took.append(time.perf_counter() - begun)
        except TimeoutError:
            lost += 1
        time.sleep(pause)
    return sorted(took), lost


def quantile(values, part):
    """Returns a quantile of sorted seconds, in microseconds."""
    return values[min(int(len(values) * part), len(values) - 1)] * 1e6




CASES = {
    "quiet": None,
    "stores": (lambda sock: store_queries(sock, store_bodies(4000)),
               1, 4000, 0),
    "stores 8": (lambda sock: store_queries(sock, store_bodies(2000)),
                 8, 8000, 0),
    "bad stores": (lambda sock: store_queries(sock, store_bodies(400, True)),
                   1, 4000, 0),
    "flood": (lambda sock: ping_queries(sock, 1000), 1, 50000, 0),
    "flood 1000": (lambda sock: ping_queries(sock, 1000), 1000, 50000, 0),
    "hook": (lambda sock: hook_queries(sock, 1000), 1, 500, 0),
    "burst stores": (lambda sock: store_queries(sock, store_bodies(400)),
                     1, 0, 400),
    "burst bad stores": (lambda sock: store_queries(
        sock, store_bodies(400, True)), 1, 0, 400),
    "burst reads": (lambda sock: read_queries(sock, 400), 1, 0, 400),
    "burst hooks": (lambda sock: hook_queries(sock, 400), 1, 0, 400),
}


def fill(address):
    """Stores values for the reads."""
    sock = connect(address, "127.3.0.1")
    for datagram in store_queries(sock, store_bodies(8)):
        ask(sock, datagram)


def run(case, command, seconds, cores):
    """Measures a case. Among 1,000 attackers an equal share of the node's limit
    is 8 queries a second, so that the honest client sends 5 then. Returns the times of pings, and how many were lost."""
    with Server(command, cores[0]) as server:
        fill(server.address)
        worker = None
        is_crowd = case is not None and case[1] >= 1000
        if case is not None:
            ready = multiprocessing.Event()
            worker = multiprocessing.Process(
                target=attackers,
                args=(case, server.address, seconds + 1.5, ready))
            worker.start()
            ready.wait()
            time.sleep(0.1)
            time.sleep(1 if is_crowd else 0)
        result = measure(server.address, seconds,
                         MODEST_SECONDS if is_crowd else PAUSE_SECONDS)
        if worker is not None:
            worker.join()
        return result


def main():
    """Prints a line for each case."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[1:] or cores))
    command = (f"{options.binary} run --listen 127.0.0.1:0 --allow-local "
               f"--policy {POLICY}")
    wanted = [part for part in options.only.split(",") if part]
    if not options.json:
        print(f"{'case':17}  pings  lost   p50 us   p99 us   max us")
    for name, case in CASES.items():
        if wanted and not any(part in name for part in wanted):
            continue
        took, lost = run(case, command, options.seconds, cores)
        figures = [quantile(took, part) if took else float("nan")
                   for part in (0.5, 0.99, 1)]
        if options.json:
            print(json.dumps({"case": name, "pings": len(took), "lost": lost,
                              "p50_us": figures[0], "p99_us": figures[1],
                              "max_us": figures[2]}))
        else:
            print(f"{name:17}  {len(took):5}  {lost:4}  {figures[0]:7.0f}  "
                  f"{figures[1]:7.0f}  {figures[2]:7.0f}", flush=True)


if __name__ == "__main__":
    main()
