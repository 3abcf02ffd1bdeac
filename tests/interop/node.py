"""The node under test: `kadenza run`, and the one-shot commands that use it."""

import os
import re
import subprocess
from pathlib import Path

from krpc import ID_LENGTH, Peer
from polling import eventually
from process import Process

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("KADENZA", ROOT / "build" / "kadenza")).resolve()

START_SECONDS = 10
COMMAND_SECONDS = 40
LISTENING = re.compile(
    r"^kadenza: listening on (\d+\.\d+\.\d+\.\d+):(\d+) id=([0-9a-f]{40})$",
    re.MULTILINE,
)


class Node(Process):
    """A running `kadenza run`, ready to be asked.

    `address` is the (host, port) where it listens, `id` its 20 bytes.
    """

    def __init__(self, *options, host="127.0.0.1"):
        self.id = os.urandom(ID_LENGTH)
        super().__init__(
            "kadenza",
            lambda folder: [
                *(PROGRAM, "run", "--listen", f"{host}:0", "--allow-local"),
                *("--id", self.id.hex(), "--state", folder / "state"),
                *("--log", "debug", *options),
            ],
        )
        try:
            line = eventually(
                self._line, START_SECONDS, "kadenza says it listens"
            )
        except AssertionError:
            self.stop()
            raise AssertionError(
                f"kadenza does not start\n{self.report()}"
            ) from None
        self.address = (line[1], int(line[2]))
        if line[3] != self.id.hex():
            raise AssertionError(
                f"asked for id {self.id.hex()}, got {line[3]}"
            )

    def _line(self):
        if not self.is_running:
            raise AssertionError("it has ended")
        return LISTENING.search(self.output)

    @property
    def endpoint(self):
        """Where it listens, as `--bootstrap` takes it."""
        return "%s:%d" % self.address

    def command(self, *arguments):
        """Runs a one-shot command that joins through this node."""
        return run(*arguments, "--bootstrap", self.endpoint, "--allow-local")

    def contacts(self, target=None):
        """Returns the contacts that it hands out as closest to `target`.

        The question comes from a peer that never answers, and so is not itself
        a contact.
        """
        with Peer(self.address[0], answers=False) as observer:
            return observer.query(
                self.address, "find_node", target=target or self.id
            ).nodes

    def peers(self, info_hash):
        """Returns the set of (host, port) that it hands out as peers."""
        with Peer(self.address[0], answers=False) as observer:
            reply = observer.query(
                self.address, "get_peers", info_hash=info_hash
            )
            return set(reply.peers)

    def knows(self, address, target=None):
        """Returns the contact of that (host, port), or None."""
        contacts = self.contacts(target)
        return next((c for c in contacts if (c.host, c.port) == address), None)

    def wait_for_contact(self, address, seconds, target=None):
        """Waits until it hands out a contact at that (host, port)."""
        return eventually(
            lambda: self.knows(address, target),
            seconds,
            "%s:%d is in the routing table" % address,
        )


def run(*arguments):
    """Runs a `kadenza` command to its end, and returns what came of it."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
