"""A magnet link is fetched whole by a client that knows only our nodes."""

import os

import findings
from case import InteropTest
from driver import Refused, ask_all
from kinds import TORRENTS, with_feature
from polling import eventually

JOIN_S = 25
FETCH_S = 60
SIZE = 200_000


class Magnets(InteropTest):
    def setUp(self):
        super().setUp()
        self.near = self.start_node()
        self.far = self.start_node("--bootstrap", self.near.endpoint)
        self.seeders = [
            self.start_client(kind, [self.near.address])
            for kind in with_feature(TORRENTS)
        ]
        # An announce before a client has joined reaches no node.
        ask_all((seeder, "join", {}) for seeder in self.seeders)
        self.contents = [os.urandom(SIZE) for _ in self.seeders]
        seeds = [
            (seeder, "seed", {"name": seeder.name, "content": content.hex()})
            for seeder, content in zip(self.seeders, self.contents)
        ]
        self.hashes = [
            bytes.fromhex(result["info_hash"]) for result in ask_all(seeds)
        ]
        self.far.wait_for_contact(self.near.address, JOIN_S)

    def check_fetches(self, kind):
        client = self.start_client(kind, [self.far.address])
        client.ask("join")
        results = ask_all(
            (client, "download", {"info_hash": info_hash.hex()})
            for info_hash in self.hashes
        )
        for seeder, content, result in zip(
            self.seeders, self.contents, results
        ):
            with self.subTest(fetches=kind.name, seeds=seeder.name):
                self.assertNotIsInstance(result, Refused)
                self.assertEqual(seeder.name, result["name"])
                self.assertEqual(content.hex(), result["content"])
                findings.note(kind, findings.FETCHES)
                findings.note(seeder.kind, findings.SEEDS)

    def test_each_client_fetches_from_each(self):
        for kind in with_feature(TORRENTS):
            self.check_fetches(kind)

    def test_aria2_fetches_from_each(self):
        fetchers = [
            self.start_aria2(self.far, info_hash, f"127.0.0.{21 + i}")
            for i, info_hash in enumerate(self.hashes)
        ]
        for fetcher, seeder, content in zip(
            fetchers, self.seeders, self.contents
        ):
            with self.subTest(seeds=seeder.name):
                path = fetcher.folder / seeder.name
                eventually(
                    lambda path=path, content=content: path.exists()
                    and path.read_bytes() == content,
                    FETCH_S,
                    f"aria2 fetches from {seeder.name}",
                )
                findings.note("aria2", findings.FETCHES)
                findings.note(seeder.kind, findings.SEEDS)
