"""Programs under test, each in a process group and a folder of its own."""

import atexit
import os
import signal
import subprocess
import tempfile
from pathlib import Path

STOP_SECONDS = 5
TAIL_LINES = 40


class Process:
    """A running program.

    It works in a temporary folder, which is also its home and is removed when
    it stops. `output` and `log` are its standard output and standard error.
    """

    def __init__(self, name, make_command, talks=False):
        """Starts the command that `make_command(folder)` returns.

        With `talks` it reads what `write` writes; else its input is empty.
        """
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix=f"interop-{name}-")
        self.folder = Path(self._folder.name)
        self._command = [str(word) for word in make_command(self.folder)]
        self._kept = None
        with open(self.folder / "output", "wb") as output, open(
            self.folder / "log", "wb"
        ) as log:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder)},
                start_new_session=True,
            )
        atexit.register(self.stop)

    @property
    def is_running(self):
        return self._kept is None and self._child.poll() is None

    @property
    def output(self):
        return self._written("output")

    @property
    def log(self):
        return self._written("log")

    def _written(self, stream):
        if self._kept:
            return self._kept[stream]
        return (self.folder / stream).read_text(errors="replace")

    def write(self, text):
        """Writes to its standard input."""
        self._child.stdin.write(text.encode())
        self._child.stdin.flush()

    def signal(self, number):
        """Sends a signal to the program."""
        self._child.send_signal(number)

    def wait(self, seconds):
        """Returns its exit status, or raises AssertionError if it runs on."""
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(
                f"{self.name} still runs after {seconds} s"
            ) from error

    def stop(self):
        """Ends the whole process group and removes the folder.

        `output` and `log` stay readable. A second call does nothing.
        """
        if self._kept:
            return
        try:
            if self._child.stdin:
                self._end_input()
            self._end_group()
        finally:
            self._kept = {s: self._written(s) for s in ("output", "log")}
            self._folder.cleanup()
            atexit.unregister(self.stop)

    def _end_input(self):
        """Ends its input: a program that reads requests ends then."""
        try:
            self._child.stdin.close()
            self._child.wait(STOP_SECONDS)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            pass

    def _end_group(self):
        self._signal_group(signal.SIGTERM)
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        self._signal_group(signal.SIGKILL)
        self._child.wait()

    def _signal_group(self, number):
        try:
            os.killpg(self._child.pid, number)
        except ProcessLookupError:
            pass

    def report(self):
        """Returns the end of its output and log, for a failed test."""
        lines = (self.output + self.log).splitlines()[-TAIL_LINES:]
        state = (
            "running" if self.is_running else f"status {self._child.poll()}"
        )
        head = f"--- {self.name} ({state}): {' '.join(self._command)}"
        return "\n".join([head, *lines, "---"])
