"""A name server in a namespace of its own, for tests.

    unshare -rnm python3 name_server.py FOLDER [ADDRESS]...

Sets up the loopback interface, with more addresses, mounts its own
/etc/resolv.conf, and answers from the file FOLDER/zone, which it reads for each
query. A line is

    NAME [hang | delay=SECONDS] [ADDRESS]...

A name that hangs gets no answer; one that has no line does not exist. While
there is no file FOLDER/zone, no server listens. Prints "ready", and notes each
query in FOLDER/queries. Ends when its standard input is closed.
"""

import fcntl
import ipaddress
import os
import socket
import struct
import subprocess
import sys
import threading
import time

SERVER = ("127.0.0.53", 53)
A, AAAA = 1, 28
SIOCSIFADDR, SIOCSIFFLAGS, SIOCSIFNETMASK = 0x8916, 0x8914, 0x891C
UP_RUNNING = 0x41

folder = sys.argv[1]
zone_path = os.path.join(folder, "zone")


def set_interface(name, request, value):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, request, struct.pack("16s", name.encode()) + value)


def ip4(address):
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))


def set_up():
    set_interface("lo", SIOCSIFFLAGS, struct.pack("H14x", UP_RUNNING))
    for i, address in enumerate(sys.argv[2:]):
        set_interface(f"lo:{i}", SIOCSIFADDR, ip4(address))
        set_interface(f"lo:{i}", SIOCSIFNETMASK, ip4("255.255.255.255"))
    texts = {"resolv.conf": f"nameserver {SERVER[0]}\n",
             "hosts": "127.0.0.1 localhost\n::1 localhost\n",
             "nsswitch.conf": "hosts: files dns\n"}
    for name, text in texts.items():
        path = os.path.join(folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        target = os.path.realpath(os.path.join("/etc", name))
        if os.path.exists(target):
            subprocess.run(["mount", "--bind", path, target], check=True)


def read_zone():
    zone = {}
    with open(zone_path, encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words:
                zone[words[0].lower()] = words[1:]
    return zone


def read_question(query):
    labels, at = [], 12
    while query[at] != 0:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    return ".".join(labels), struct.unpack_from("!H", query, at + 1)[0], at + 5


def make_answer(query, end, addresses, kind):
    code = 3 if addresses is None else 0
    records = [a for a in map(ipaddress.ip_address, addresses or [])
               if (a.version == 4) == (kind == A)]
    answer = query[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(records),
                                     0, 0) + query[12:end]
    for record in records:
        answer += struct.pack("!HHHIH", 0xC00C, kind, 1, 0,
                              len(record.packed)) + record.packed
    return answer


def serve(server):
    query, sender = server.recvfrom(4096)
    name, kind, end = read_question(query)
    with open(os.path.join(folder, "queries"), "a", encoding="ascii") as file:
        file.write(f"{name} {kind}\n")
    words = read_zone().get(name.lower())
    if words and words[0] == "hang":
        return
    delay = 0.0
    if words and words[0].startswith("delay="):
        delay = float(words[0][6:])
        words = words[1:]
    answer = make_answer(query, end, words, kind)
    threading.Timer(delay, server.sendto, (answer, sender)).start()


def serve_all():
    while not os.path.exists(zone_path):
        time.sleep(0.05)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(SERVER)
    with open(os.path.join(folder, "listens"), "wb"):
        pass
    while True:
        serve(server)


set_up()
threading.Thread(target=serve_all, daemon=True).start()
time.sleep(0.1)
print("ready", flush=True)
sys.stdin.read()
os._exit(0)
