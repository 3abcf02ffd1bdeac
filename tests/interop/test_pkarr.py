"""The policy pkarr as a relay of the crate pkarr's own client."""

import json
import subprocess
import time

import http_node
from case import InteropTest
from kinds import BUILT
from polling import eventually

CLIENT = BUILT / "cargo" / "debug" / "interop-pkarr"

SECOND = 1_000_000  # microseconds


class PkarrTest(InteropTest):
    """Two relays in an overlay of four nodes."""

    def setUp(self):
        super().setUp()
        self.first, self.url = http_node.start(self, "--policy", "pkarr")
        known = ("--bootstrap", self.first.endpoint)
        _, self.other_url = http_node.start(self, "--policy", "pkarr", *known)
        for host in ("127.0.0.2", "127.0.0.3"):
            self.start_node(*known, hosts=[host])
        eventually(
            lambda: len(self.first.contacts()) >= 2,
            10,
            "the relay knows other nodes",
        )
        self.now = int(time.time()) * SECOND

    def ask(self, relay, **request):
        """Returns the reply of a client with this relay."""
        completed = subprocess.run(
            [CLIENT, relay],
            input=json.dumps(request) + "\n",
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(completed.returncode, 0, completed.stderr)
        return json.loads(completed.stdout)

    def publish(self, relay, seed, text, at):
        """Publishes a text for the key of a seed at a time."""
        return self.ask(relay, do="publish", seed=seed, text=text, time=at)

    def resolve(self, relay, key, policy="CacheFirst"):
        """Returns what a client finds."""
        return self.ask(relay, do="resolve", key=key, policy=policy)["result"]

    def test_one_relay_resolves_what_another_has_published(self):
        published = self.publish(self.url, "ann", "hello", self.now)
        self.assertGreaterEqual(published["result"]["stored"], 2)
        key = published["result"]["key"]
        self.assertEqual(len(key), 52)
        for relay in (self.url, self.other_url):
            for policy in ("NetworkOnly", "CacheFirst", "CacheOnly"):
                found = self.resolve(relay, key, policy)
                self.assertTrue(found["found"], f"{relay} {policy}")
                self.assertEqual(found["time"], self.now)
                self.assertIn("300 TXT", found["records"][0])

    def test_a_key_without_a_packet_is_not_found(self):
        key = "y" * 52
        for policy in ("NetworkOnly", "CacheFirst", "CacheOnly"):
            self.assertFalse(self.resolve(self.url, key, policy)["found"])

    def test_a_newer_packet_replaces_an_older_one(self):
        for relay in (self.url, self.other_url):
            reply = self.publish(relay, "bob", "old", self.now)
            self.assertIn("result", reply)
        newer = self.now + SECOND
        key = self.publish(self.other_url, "bob", "new", newer)["result"]["key"]
        found = self.resolve(self.url, key, "NetworkOnly")
        self.assertEqual(found["time"], newer)
        for relay in (self.url, self.other_url):
            reply = self.publish(relay, "bob", "old", self.now)
            self.assertIn("recent", reply.get("error", ""), reply)
