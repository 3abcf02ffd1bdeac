"""Starts a program as a service manager does, and prints what it is told.

    service_manager.py [--socket NAME] [--silent] [--listen KIND=ADDRESS]...
      [--names NAMES] [--pid PID] [--count COUNT] -- PROGRAM ARGUMENT...

Prints, beside what the program prints, a line for each thing:

    manager: pid 4711
    manager: listens on 127.0.0.1:45678
    manager: told READY=1|STATUS=healthy

KIND is udp, tcp or unbound (UDP). `--silent` reads nothing from the socket. Ends
as the program does.
"""

import argparse
import ctypes
import os
import select
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1


def say(text):
    os.write(1, ("manager: " + text + "\n").encode())  # in one piece


def read_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket")
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--listen", action="append", default=[])
    parser.add_argument("--names")
    parser.add_argument("--pid")
    parser.add_argument("--count")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def open_notify_socket(name):
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind("\0" + name[1:] if name.startswith("@") else name)
    return notify


def open_listener(text):
    kind, address = text.split("=", 1)
    host, port = address.rsplit(":", 1)
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    opened = socket.socket(
        family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    if kind != "unbound":
        opened.bind((host.strip("[]"), int(port)))
        say("listens on %s:%d" % (host, opened.getsockname()[1]))
    return opened


def end_with_manager():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(options, listeners):
    pid = os.fork()
    if pid > 0:
        return pid
    end_with_manager()
    high = [os.dup(it.fileno()) for it in listeners]
    for i, fd in enumerate(high):
        os.dup2(fd, 3 + i, inheritable=True)
    if listeners or options.count:
        os.environ["LISTEN_PID"] = options.pid or str(os.getpid())
        os.environ["LISTEN_FDS"] = options.count or str(len(listeners))
        if options.names:
            os.environ["LISTEN_FDNAMES"] = options.names
    os.environ["WATCHDOG_PID"] = str(os.getpid())
    os.execv(options.command[0], options.command)


def print_told(notify):
    while True:
        try:
            told = notify.recv(65536, socket.MSG_DONTWAIT).decode()
        except BlockingIOError:
            return
        say("told " + told.replace("\n", "|"))


def main():
    options = read_options()
    notify = open_notify_socket(options.socket) if options.socket else None
    pid = start(options, [open_listener(it) for it in options.listen])
    say("pid %d" % pid)
    ended = os.pidfd_open(pid)
    sources = [ended] + ([notify] if notify and not options.silent else [])
    while ended not in select.select(sources, [], [])[0]:
        print_told(notify)
    if len(sources) > 1:
        print_told(notify)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)


main()
