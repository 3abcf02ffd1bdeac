"""Clients that a test talks to: each a program that serves requests.

A request is a JSON document in a line of its standard input, and names what to
do; its reply is a line of the standard output. README.md lists them.
"""

import itertools
import json
import time

from process import Process

POLL_S = 0.01
START_S = 30
REPLY_S = 60


class Refused(AssertionError):
    """A request that failed, with the reason that the client gave."""


class Driver(Process):
    """A running client of a kind of `kinds.py`.

    It listens at `address`, a pair of host and port, and knows only the
    addresses in `known`.
    """

    def __init__(self, kind, address, known, state=None, options=()):
        self.kind = kind
        self.address = address
        self._numbers = itertools.count(1)
        self._replies = {}
        self._read = 0
        super().__init__(
            kind.name,
            lambda folder: kind.command(address, known, state, options),
            talks=True,
        )
        self._wait_for("ready", START_S)

    def send(self, do, **arguments):
        """Sends a request. Returns its number."""
        number = next(self._numbers)
        self.write(json.dumps({"id": number, "do": do, **arguments}) + "\n")
        return number

    def receive(self, number, seconds=REPLY_S):
        """Waits for the reply to a request. Returns its result."""
        reply = self._wait_for(number, seconds)
        if "error" in reply:
            raise Refused(f"{self.name}: {reply['error']}")
        return reply["result"]

    def ask(self, do, **arguments):
        """Sends a request and returns its result."""
        return self.receive(self.send(do, **arguments))

    def _wait_for(self, key, seconds):
        deadline = time.monotonic() + seconds
        while key not in self._replies:
            if not self.is_running:
                raise AssertionError(f"{self.name} ended\n{self.report()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: no reply to {key}")
            time.sleep(POLL_S)
            self._read_replies()
        return self._replies.pop(key)

    def _read_replies(self):
        with open(self.folder / "output", "rb") as output:
            output.seek(self._read)
            written = output.read()
        whole = written.rfind(b"\n") + 1
        self._read += whole
        for line in written[:whole].splitlines():
            if line.startswith(b"{"):
                reply = json.loads(line)
                key = "ready" if "ready" in reply else reply["id"]
                self._replies[key] = reply


def ask_all(requests):
    """Sends (driver, what to do, arguments) to all, then waits for all.

    Returns their results in order; a Refused where a request failed.
    """
    sent = [
        (driver, driver.send(do, **arguments))
        for driver, do, arguments in requests
    ]

    def result(driver, number):
        try:
            return driver.receive(number)
        except Refused as error:
            return error

    return [result(driver, number) for driver, number in sent]
