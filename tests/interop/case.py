"""The base class of the tests: starts nodes, peers and clients."""

import itertools
import tempfile
import unittest
from pathlib import Path

import bittorrent
from driver import Driver
from krpc import Peer
from node import Node


class InteropTest(unittest.TestCase):
    """A test that starts programs. If it fails, it shows their output."""

    longMessage = True

    def setUp(self):
        self.processes = []
        self._hosts = (f"127.0.1.{i}" for i in itertools.count(1))

    def report(self):
        """Returns the ends of the logs of the programs of this test."""
        return "\n".join(process.report() for process in self.processes)

    def _started(self, process):
        self.processes.append(process)
        self.addCleanup(process.stop)
        return process

    def start_node(self, *options, hosts=("127.0.0.1",)):
        """Starts a kadenza node; `options` are flags of `kadenza run`."""
        return self._started(Node(*options, hosts=hosts))

    def start_peer(self, host="127.0.0.2", **options):
        """Opens a raw KRPC peer on a loopback address."""
        peer = Peer(host, **options)
        self.addCleanup(peer.close)
        return peer

    def free_address(self, kind, family=4):
        """Returns a (host, port) for a client: of IPv4 a host of its own."""
        if family == 6:
            host = "::1"
        else:
            host = "127.0.0.1" if kind.any_host else next(self._hosts)
        return host, bittorrent.free_port(host)

    def start_client(
        self, kind, known, family=4, address=None, state=None, options=()
    ):
        """Starts a client of a kind, which knows only the nodes `known`."""
        address = address or self.free_address(kind, family)
        return self._started(Driver(kind, address, known, state, options))

    def make_folder(self):
        """Makes a folder, which is removed after the test."""
        folder = tempfile.TemporaryDirectory(prefix="interop-")
        self.addCleanup(folder.cleanup)
        return Path(folder.name)

    def start_aria2(self, node, info_hash, host="127.0.0.21"):
        """Starts aria2c, which knows only `node`, on a magnet link."""
        return self._started(bittorrent.Aria2(node.endpoint, info_hash, host))

    def start_transmission(self, node, host):
        """Starts transmission-daemon, which knows only `node`."""
        return self._started(bittorrent.Transmission(node.address, host))

    def start_libtorrent(self, node, *hosts):
        """Starts a libtorrent session, which knows only `node`."""
        hosts = hosts or ["127.0.0.11"]
        session = bittorrent.Libtorrent(node.addresses, hosts)
        self.addCleanup(session.stop)
        return session

    def assertSucceeds(self, completed):
        """Checks that a command ended with status 0."""
        if completed.returncode != 0:
            self.fail(
                f"{' '.join(map(str, completed.args))}: "
                f"status {completed.returncode}\n"
                f"{completed.stdout}{completed.stderr}"
            )
