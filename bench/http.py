#!/usr/bin/python3 -B
"""Measures the HTTP server of a node, and what its clients cost datagrams.

    bench/http.py build/release/kadenza [--seconds 5] [--only get,idle]

An honest client pings the node over UDP every two milliseconds, one ping at a
time, while others use or attack its HTTP server from other addresses of
127.0.0.0/8. The cases:

    off            the node serves no HTTP
    quiet          it does, and has no client
    paced 48       wrk asks for /health/live about 20,000 times a second
    get N          wrk asks for /health/live over N connections,
                   as fast as it can
    idle N         N connections without a request
    loris          1,000 connections that send a byte a second each
    garbage        16 connections that send noise as fast as they can
    deaf           500 connections that ask in a pipeline, and never read

For each: the times of the pings, how many are lost, the node's processor time
as a share of a core, its resident memory at the end, and whether a new client
of HTTP is answered meanwhile, and how soon. For `get` also requests a second,
and the processor time of each.

The node runs on core 0, the others on the other cores. On a machine that does
other work, begin the command with `chrt --rr 10` as root, so that this work does
not count.
"""

import argparse
import json
import multiprocessing
import os
import random
import re
import resource
import select
import shutil
import socket
import subprocess
import tempfile
import time

from flood import PAUSE_SECONDS, measure, quantile
from server import Server

SERVING = re.compile(r"serving http://(127[\d.]+):(\d+)/")
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
START_SECONDS = 1.0
PER_ADDRESS = 20000  # connections from one address: it has so many ports
FILES = 20000


def connect(address, number=0):
    """Returns a connection that does not block, from an address of its own for
    each 20,000."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind((f"127.4.0.{1 + number // PER_ADDRESS}", 0))
    sock.connect(address)
    sock.setblocking(False)
    return sock


def send(sock, data):
    """Sends what fits. Returns False if the connection has ended."""
    try:
        sock.send(data)
    except BlockingIOError:
        pass
    except OSError:
        return False
    return True


# ------------------------------------------------------------------ clients --

def use_get(address, count, end, *more):
    """Has wrk ask over `count` connections. Returns the requests."""
    seconds = max(1, round(end - time.monotonic()))
    done = subprocess.run(
        ["wrk", "-t1", f"-c{count}", f"-d{seconds}", *more,
         "http://{}:{}/health/live".format(*address)],
        capture_output=True, text=True, check=True)
    return int(re.search(r"(\d+) requests in", done.stdout)[1])


def use_paced(address, count, end):
    """Does the same, with a pause of 2 ms behind each response: about 20,000
    requests a second over 48 connections."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("function delay() return 2 end\n")
        script.flush()
        return use_get(address, count, end, "-s", script.name)


def hold_idle(address, count, end):
    """Opens connections, and opens those again that the node has ended."""
    socks, poll = {}, select.epoll()
    number = 0
    while time.monotonic() < end:
        while len(socks) < count and time.monotonic() < end:
            sock = connect(address, number)
            number += 1
            socks[sock.fileno()] = sock
            poll.register(sock, select.EPOLLIN)
        for fd, _ in poll.poll(0.05):
            socks.pop(fd).close()


def drip(address, count, end):
    """Sends a byte of a request a second over each connection."""
    socks = [connect(address) for _ in range(count)]
    at = 0
    while time.monotonic() < end:
        byte = REQUEST[at % 40:at % 40 + 1]
        for i, sock in enumerate(socks):
            if not send(sock, byte):
                sock.close()
                socks[i] = connect(address)
        at += 1
        time.sleep(1)


def send_noise(address, count, end):
    """Sends bytes that are no HTTP, and requests with mistakes."""
    source = random.Random(1)
    pieces = [source.randbytes(4000) for _ in range(8)]
    pieces += [REQUEST.replace(b"HTTP", b"H%dTP" % i) * 20 for i in range(8)]
    pieces += [b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n" * 50, REQUEST[:-2] * 50]
    socks = [connect(address) for _ in range(count)]
    while time.monotonic() < end:
        for i, sock in enumerate(socks):
            if not send(sock, source.choice(pieces)):
                sock.close()
                socks[i] = connect(address)


def never_read(address, count, end):
    """Asks in a pipeline without reading."""
    socks = [connect(address) for _ in range(count)]
    while time.monotonic() < end:
        for i, sock in enumerate(socks):
            if not send(sock, REQUEST * 20):
                sock.close()
                socks[i] = connect(address)
        time.sleep(0.01)


CASES = {
    "off": None,
    "quiet": None,
    "paced 48": (use_paced, 48),
    "get 16": (use_get, 16),
    "get 128": (use_get, 128),
    "idle 1000": (hold_idle, 1000),
    "idle 10000": (hold_idle, 10000),
    "loris": (drip, 1000),
    "garbage": (send_noise, 16),
    "deaf": (never_read, 500),
}


# ----------------------------------------------------------------- measuring --

def run_clients(case, address, seconds, results):
    """Runs in a process of its own."""
    if os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO):
        os.sched_setparam(0, os.sched_param(1))  # below the pings
    act, count = case
    results.put(act(address, count, time.monotonic() + seconds))


def cpu_seconds(pid):
    """Returns the processor time of a process so far."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def ask(address):
    """Returns the seconds that a new client waits for a response; None: it got
    none."""
    begun = time.monotonic()
    try:
        with socket.create_connection(address, 2) as sock:
            sock.settimeout(2)
            sock.send(REQUEST)
            if not sock.recv(4096).startswith(b"HTTP/1.1 200"):
                return None
    except OSError:
        return None
    return time.monotonic() - begun


def run(name, case, binary, seconds, cores):
    """Measures a case; returns its figures."""
    command = f"{binary} run --listen 127.0.0.1:0 --allow-local"
    if name != "off":
        command += " --http 127.0.0.1:0"
    with Server(command, cores[0]) as server:
        found = SERVING.search(server.text())
        address = found and (found[1], int(found[2]))
        time.sleep(START_SECONDS)
        worker, results = None, multiprocessing.Queue()
        if case:
            worker = multiprocessing.Process(
                target=run_clients,
                args=(case, address, seconds + 1, results))
            worker.start()
            time.sleep(0.5)
        before = cpu_seconds(server.pid)
        took, lost = measure(server.address, seconds, PAUSE_SECONDS)
        used = cpu_seconds(server.pid) - before
        figures = {
            "case": name, "pings": len(took), "lost": lost,
            "p50_us": quantile(took, 0.5), "p99_us": quantile(took, 0.99),
            "max_us": quantile(took, 1), "core": used / seconds,
            "rss_kib": server.resident_kib()[0],
        }
        figures["answer_s"] = ask(address) if address else None
        if worker:
            requests = results.get()
            worker.join()
            if requests:
                figures["requests_per_s"] = requests / round(seconds + 1)
                figures["request_us"] = (
                    figures["core"] / figures["requests_per_s"] * 1e6)
        return figures


def line_of(figures):
    """Returns a line of the table."""
    text = ("{case:11}  {lost:4}  {p50_us:6.0f}  {p99_us:6.0f}  {max_us:7.0f}"
            "  {core:4.2f}  {rss_kib:8}").format(**figures)
    answer = figures["answer_s"]
    text += "       -" if answer is None else f"  {answer * 1000:6.1f}"
    if "request_us" in figures:
        text += "  {requests_per_s:8.0f}  {request_us:7.1f}".format(**figures)
    return text


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
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[1:] or cores))
    wanted = [part for part in options.only.split(",") if part]
    if not options.json:
        print("case         lost  p50 us  p99 us   max us  core   RSS KiB"
              "  new ms     GET/s  us/GET")
    for name, case in CASES.items():
        if wanted and not any(part in name for part in wanted):
            continue
        if case and case[0] in (use_get, use_paced) and not shutil.which("wrk"):
            continue
        figures = run(name, case, options.binary, options.seconds, cores)
        print(json.dumps(figures) if options.json else line_of(figures),
              flush=True)


if __name__ == "__main__":
    main()
