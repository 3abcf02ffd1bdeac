"""A server process that is measured."""

import os
import re
import shlex
import subprocess
import tempfile
import time

START_SECONDS = 10.0
STOP_SECONDS = 3.0
LISTENING = re.compile(r"listening on (127\.\d+\.\d+\.\d+:\d+)")


class Failure(Exception):
    """A failure, with a message for the user."""


def pin(core):
    """Returns a function that pins a child to `core`; None without a core."""
    if core is None:
        return None
    return lambda: os.sched_setaffinity(0, {core})


class Server:
    """A process that prints its address. Use it in a `with` statement."""

    def __init__(self, command, core):
        self.name = os.path.basename(shlex.split(command)[0])
        self.output = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            shlex.split(command), stdin=subprocess.DEVNULL,
            stdout=self.output, stderr=subprocess.STDOUT,
            preexec_fn=pin(core))
        try:
            self.address = self.wait_for_address()
        except Failure:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        """The process id."""
        return self.process.pid

    def text(self):
        """Returns the output so far."""
        return os.pread(self.output.fileno(), 1 << 16, 0).decode(
            errors="replace")

    def wait_for_address(self):
        """Returns the first address of its output."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = LISTENING.search(self.text())
            if found:
                return found[1]
            if self.process.poll() is not None:
                lines = self.text().strip().splitlines() or ["no output"]
                ends = dict.fromkeys((lines[0], lines[-1]))
                raise Failure(f"{self.name} ended: {' … '.join(ends)}")
            time.sleep(0.01)
        raise Failure(f"{self.name} does not print its address")

    def resident_kib(self):
        """Returns the resident memory and its private part."""
        amounts = {}
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if rest.strip().endswith("kB"):
                    amounts[name] = int(rest.split()[0])
        private = amounts["Private_Clean"] + amounts["Private_Dirty"]
        return amounts["Rss"], private

    def stop(self):
        """Ends the process, with SIGKILL if it does not end in time."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
