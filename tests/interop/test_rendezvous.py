"""Two libtorrent sessions that know only our node find each other."""

import os

from case import InteropTest
from polling import eventually

JOIN_SECONDS = 25
FIND_SECONDS = 30
HOSTS = ("127.0.0.11", "127.0.0.12")


class Rendezvous(InteropTest):
    def setUp(self):
        super().setUp()
        self.node = self.start_node()
        self.sessions = [
            self.start_libtorrent(self.node, host) for host in HOSTS
        ]
        for session in self.sessions:
            self.node.wait_for_contact(session.address, JOIN_SECONDS)

    def test_announced_peers_are_found(self):
        info_hash = os.urandom(20)
        here, there = self.sessions
        for session in self.sessions:
            session.download(info_hash)
        here.wait_for_peer(info_hash, there.address, FIND_SECONDS)
        there.wait_for_peer(info_hash, here.address, FIND_SECONDS)

    def test_our_node_holds_both_announces(self):
        info_hash = os.urandom(20)
        for session in self.sessions:
            session.download(info_hash)
        expected = {session.address for session in self.sessions}
        eventually(
            lambda: self.node.peers(info_hash) == expected,
            FIND_SECONDS,
            "the node hands out both peers",
        )

    def test_a_file_is_downloaded_by_its_info_hash(self):
        content = os.urandom(100_000)
        seeder, leecher = self.sessions
        info_hash = seeder.seed("song", content)
        torrent = leecher.download(info_hash)
        eventually(
            lambda: torrent.status().is_seeding,
            FIND_SECONDS,
            "the file arrives",
        )
        self.assertEqual((leecher.folder / "song").read_bytes(), content)
