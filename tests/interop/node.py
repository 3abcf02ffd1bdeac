"""The node under test: `kadenza run`, and the one-shot commands."""

import os
import re
import subprocess
from pathlib import Path

from krpc import ID_LENGTH, Peer, endpoint_text, is_ipv6
from polling import eventually
from process import Process

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("KADENZA", ROOT / "build" / "kadenza")).resolve()

START_SECONDS = 10
COMMAND_SECONDS = 40
LISTENING = re.compile(
    r"^kadenza: listening on \[?([0-9a-f.:]+?)\]?:(\d+) id=([0-9a-f]{40})$",
    re.MULTILINE,
)


class Node(Process):
    """A running `kadenza run` that listens.

    `addresses` are the (host, port) where it listens, `address` is the first
    of them, and `id` its id of 20 bytes.
    """

    def __init__(self, *options, hosts=("127.0.0.1",)):
        self.id = os.urandom(ID_LENGTH)
        super().__init__(
            "kadenza",
            lambda folder: [
                *(PROGRAM, "run", "--allow-local", "--id", self.id.hex()),
                *("--state", folder / "state", "--log", "debug", *options),
                *(f"--listen={endpoint_text(host, 0)}" for host in hosts),
            ],
        )
        try:
            self.addresses = self._wait_until_listening(hosts)
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}\n{self.report()}") from None
        self.address = self.addresses[0]

    def _wait_until_listening(self, hosts):
        def listening():
            lines = LISTENING.findall(self.output)
            return lines if len(lines) >= len(hosts) else None

        lines = eventually(
            lambda: listening() or not self.is_running,
            START_SECONDS,
            "kadenza prints that it listens",
        )
        if lines is True or {line[2] for line in lines} != {self.id.hex()}:
            raise AssertionError("kadenza prints another id")
        return [(host, int(port)) for host, port, _ in lines]

    @property
    def endpoint(self):
        """Its address, in the form of `--bootstrap`."""
        return endpoint_text(*self.address)

    def command(self, *arguments):
        """Runs a one-shot command that joins through this node."""
        return run(*arguments, "--bootstrap", self.endpoint, "--allow-local")

    def contacts(self, target=None, address=None):
        """Returns the contacts in its reply to find_node for `target`.

        Sends the query to `address`, or to its first one, from a peer that
        never answers and so does not become a contact.
        """
        address = address or self.address
        with Peer(address[0], answers=False) as observer:
            return observer.query(
                address, "find_node", target=target or self.id
            ).nodes

    def peers(self, info_hash):
        """Returns the set of (host, port) in its reply to get_peers."""
        with Peer(self.address[0], answers=False) as observer:
            reply = observer.query(
                self.address, "get_peers", info_hash=info_hash
            )
            return set(reply.peers)

    def wait_for_contact(self, address, seconds, target=None):
        """Waits until it hands out a contact at that (host, port).

        Returns the contact.
        """
        queried = next(
            own
            for own in self.addresses
            if is_ipv6(own[0]) == is_ipv6(address[0])
        )

        def known():
            contacts = self.contacts(target, queried)
            return next((c for c in contacts if c[1:] == address), None)

        what = f"{endpoint_text(*address)} is in the routing table"
        return eventually(known, seconds, what)


def run(*arguments):
    """Runs a `kadenza` command to its end. Returns the completed process."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
