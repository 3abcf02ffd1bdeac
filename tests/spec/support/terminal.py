"""Runs a command on a terminal of its own and prints what it wrote.

    terminal.py [--background] [--screen] [--seconds N] [--interrupt]
                [--answer TEXT]... COLUMNS COMMAND...

--background  the command is not in the terminal's foreground, like a job that
              a shell started with `&`
--screen      prints the lines that a terminal shows (pyte), and not the bytes
--seconds N   sends SIGTERM after so long
--interrupt   sends SIGINT instead, as Ctrl-C does
--answer TEXT types a line when the command has asked, with ": " at the end; the
              next one when it asks again. "^C" and "^D" are these keys

A line "echo is off" follows the output if the command leaves the terminal so
that it does not show what is typed. The status is that of the command; 128 and the signal if one ended it.
"""

import argparse
import fcntl
import os
import pty
import signal
import struct
import sys
import termios

LINES = 60
PROMPT = b"$ "


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("columns", type=int)
    parser.add_argument("--background", action="store_true")
    parser.add_argument("--screen", action="store_true")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--interrupt", action="store_true")
    parser.add_argument("--answer", action="append", default=[])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args()


def lead_session(options):
    """The leader of the terminal's session, like a shell."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.setpgid(0, 0)
        os.execvp(options.command[0], options.command)
    try:
        os.setpgid(child, child)
    except OSError:
        pass  # it has begun
    if options.background:
        os.write(1, PROMPT)
    else:
        os.tcsetpgrp(0, child)

    def stop(*_):
        os.kill(child, signal.SIGINT if options.interrupt else signal.SIGTERM)

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, options.seconds)
    _, status = os.waitpid(child, 0)
    if not termios.tcgetattr(0)[3] & termios.ECHO:
        os.write(1, b"\necho is off\n")
    os._exit(status >> 8 if status & 127 == 0 else 128 + (status & 127))


KEYS = {"^C": b"\x03", "^D": b"\x04"}


def answer(terminal, output, answers):
    if answers and output.endswith(b": "):
        text = answers.pop(0)
        os.write(terminal, KEYS.get(text) or text.encode() + b"\n")


def read_all(terminal, answers):
    output = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            data = b""
        if not data:
            return output
        output += data
        answer(terminal, output, answers)


def show(output, columns):
    import pyte  # only here: the bytes need no emulator

    screen = pyte.HistoryScreen(columns, LINES, history=10000)
    pyte.ByteStream(screen).feed(output)
    history = ["".join(line[i].data for i in range(columns))
               for line in screen.history.top]
    return "\n".join(line.rstrip() for line in history + screen.display)


def main():
    options = parse()
    # Waits in the child until the terminal has its size.
    ready, go = os.pipe()
    pid, terminal = pty.fork()
    if pid == 0:
        os.close(go)
        os.read(ready, 1)
        os.close(ready)
        lead_session(options)
    size = struct.pack("HHHH", LINES, options.columns, 0, 0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
    os.write(go, b"x")
    output = read_all(terminal, options.answer)
    _, status = os.waitpid(pid, 0)
    if options.screen:
        print(show(output, options.columns).rstrip())
    else:
        sys.stdout.buffer.write(output)
    sys.exit(status >> 8)


main()
