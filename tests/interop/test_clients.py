"""Real clients join through our node only."""

import os

import findings
from case import InteropTest
from krpc import Peer
from polling import eventually

JOIN_SECONDS = 25
MEET_SECONDS = 45


class Clients(InteropTest):
    def test_libtorrent_joins(self):
        node = self.start_node()
        session = self.start_libtorrent(node)
        node.wait_for_contact(session.address, JOIN_SECONDS)

    def test_libtorrent_joins_over_both_families(self):
        node = self.start_node(hosts=["127.0.0.1", "::1"])
        session = self.start_libtorrent(node, "127.0.0.11", "::1")
        ids = {
            node.wait_for_contact(address, JOIN_SECONDS).id
            for address in session.addresses
        }
        self.assertEqual(len(ids), 2, "it has an id for each family")

    def test_aria2_joins(self):
        node = self.start_node()
        client = self.start_aria2(node, os.urandom(20))
        node.wait_for_contact(client.address, JOIN_SECONDS)
        findings.note("aria2", findings.JOINS[4])

    def test_transmission_joins(self):
        node = self.start_node(hosts=["10.0.0.1"])
        client = self.start_transmission(node, "10.0.0.2")
        node.wait_for_contact(client.address, JOIN_SECONDS)
        findings.note("transmission", findings.JOINS[4])

    def test_aria2_announces_to_our_node(self):
        info_hash = os.urandom(20)
        node = self.start_node()
        client = self.start_aria2(node, info_hash)
        eventually(
            lambda: (client.address[0], client.peer_port)
            in node.peers(info_hash),
            JOIN_SECONDS,
            "the node hands out aria2 as a peer",
        )
        findings.note("aria2", findings.ANNOUNCES[4])

    def test_all_clients_meet_through_our_node(self):
        node = self.start_node(hosts=["10.0.0.1"])
        transmission = self.start_transmission(node, "10.0.0.2")
        aria2 = self.start_aria2(node, os.urandom(20), "10.0.0.3")
        libtorrent = self.start_libtorrent(node, "10.0.0.4")
        # Not transmission: it takes minutes until it looks up contacts.
        self.check_knows(aria2, transmission, node)
        self.check_knows(aria2, libtorrent, node)
        self.check_knows(libtorrent, aria2, node)

    def check_knows(self, client, other, node):
        """Waits until a client hands out another, which only `node` named."""
        contact = node.wait_for_contact(other.address, JOIN_SECONDS)

        def hands_out():
            reply = observer.query(
                client.address, "find_node", target=contact.id
            )
            return contact in reply.nodes

        with Peer(client.address[0], answers=False) as observer:
            eventually(
                hands_out, MEET_SECONDS, f"{client.name} knows {other.name}"
            )
