"""The base class of the tests: starts nodes, peers and clients."""

import unittest

import clients
from krpc import Peer
from node import Node


class InteropTest(unittest.TestCase):
    """A test that starts programs. If it fails, it shows their output."""

    longMessage = True

    def setUp(self):
        self.processes = []

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

    def start_aria2(self, node, info_hash, host="127.0.0.21"):
        """Starts aria2c, which knows only `node`, on a magnet link."""
        return self._started(clients.Aria2(node.endpoint, info_hash, host))

    def start_transmission(self, node, host):
        """Starts transmission-daemon, which knows only `node`."""
        return self._started(clients.Transmission(node.address, host))

    def start_libtorrent(self, node, *hosts):
        """Starts a libtorrent session, which knows only `node`."""
        session = clients.Libtorrent(node.addresses, hosts or ["127.0.0.11"])
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
