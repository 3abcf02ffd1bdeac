"""The one-shot commands and libtorrent see each other's peers."""

import json
import os
import signal

from case import InteropTest
from node import run
from polling import eventually

JOIN_SECONDS = 25
FIND_SECONDS = 30


class Commands(InteropTest):
    def setUp(self):
        super().setUp()
        self.node = self.start_node()

    def join_libtorrent(self):
        session = self.start_libtorrent(self.node)
        self.node.wait_for_contact(session.address, JOIN_SECONDS)
        return session

    def test_ping_is_answered(self):
        completed = run("ping", self.node.endpoint, "--allow-local")
        self.assertSucceeds(completed)
        self.assertIn(self.node.id.hex(), completed.stdout)

    def test_lookup_finds_a_real_client(self):
        session = self.join_libtorrent()
        contact = self.node.wait_for_contact(session.address, JOIN_SECONDS)
        completed = self.node.command("lookup", contact.id.hex(), "--json")
        self.assertSucceeds(completed)
        json.loads(completed.stdout)
        self.assertIn(contact.id.hex(), completed.stdout)
        self.assertIn("%s:%d" % session.address, completed.stdout)

    def test_peers_finds_a_libtorrent_announce(self):
        info_hash = os.urandom(20)
        session = self.join_libtorrent()
        session.download(info_hash)

        def found():
            completed = self.node.command("peers", info_hash.hex())
            lines = completed.stdout.splitlines()
            return completed.returncode == 0 and lines == [
                "%s:%d" % session.address
            ]

        eventually(found, FIND_SECONDS, "`kadenza peers` prints the peer")

    def test_peers_as_json_is_one_document(self):
        info_hash = os.urandom(20)
        self.assertSucceeds(
            self.node.command("announce", info_hash.hex(), 4322)
        )
        completed = self.node.command("peers", info_hash.hex(), "--json")
        self.assertSucceeds(completed)
        self.assertIn(
            "127.0.0.1:4322", json.dumps(json.loads(completed.stdout))
        )

    def test_peers_of_nothing_fails(self):
        completed = self.node.command("peers", os.urandom(20).hex())
        self.assertEqual(completed.returncode, 1)
        self.assertEqual(completed.stdout, "")

    def test_libtorrent_finds_our_announce(self):
        info_hash = os.urandom(20)
        session = self.join_libtorrent()
        self.assertSucceeds(
            self.node.command("announce", info_hash.hex(), 4323)
        )
        session.wait_for_peer(info_hash, ("127.0.0.1", 4323), FIND_SECONDS)

    def test_run_stops_within_a_second(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                node = self.start_node()
                node.signal(number)
                self.assertEqual(node.wait(1), 0)
