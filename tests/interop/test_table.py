"""Which contacts enter the routing table, stay in it and are handed out."""

import os

from case import InteropTest
from krpc import Contact, endpoint_text
from polling import eventually, throughout

INTRODUCED_SECONDS = 5
WATCH_SECONDS = 2


class Introductions(InteropTest):
    def setUp(self):
        super().setUp()
        self.node = self.start_node()

    def visit(self, host, **options):
        """Starts a peer that sends a query, as a new node does."""
        peer = self.start_peer(host, **options)
        peer.query(self.node.address, "find_node", target=peer.id)
        return peer

    def become_contact(self, host):
        """Starts a peer and waits until the node hands it out."""
        peer = self.visit(host)
        self.wait_until_known(peer)
        return peer

    def wait_until_known(self, peer):
        self.node.wait_for_contact(peer.address, INTRODUCED_SECONDS, peer.id)

    def check_stays_known(self, peer, meanwhile=lambda: None):
        """Checks for a while that only `peer` is known by its id."""

        def is_known():
            meanwhile()
            found = self.node.contacts(peer.id)
            return [c for c in found if c.id == peer.id] == [peer.contact]

        throughout(is_known, WATCH_SECONDS, "the contact is known by its id")

    def check_hands_out(self, peer, other):
        """Waits until the node names `other` in a reply to `peer`."""

        def hands_out():
            reply = peer.query(self.node.address, "find_node", target=other.id)
            return other.contact in reply.nodes

        eventually(hands_out, INTRODUCED_SECONDS, "the reply names the other")

    def test_a_lone_node_introduces_its_visitors(self):
        first, second = self.visit("127.0.0.2"), self.visit("127.0.0.3")
        first.wait_for_query(INTRODUCED_SECONDS)
        second.wait_for_query(INTRODUCED_SECONDS)
        self.check_hands_out(first, second)
        self.check_hands_out(second, first)

    def test_a_silent_visitor_is_not_handed_out(self):
        silent = self.visit("127.0.0.2", answers=False)
        silent.wait_for_query(INTRODUCED_SECONDS)
        self.become_contact("127.0.0.3")
        throughout(
            lambda: silent.contact not in self.node.contacts(silent.id),
            WATCH_SECONDS,
            "a peer that never answered is not handed out",
        )

    def test_an_impostor_that_answers_does_not_displace_a_contact(self):
        self.check_impostor_is_ignored(answers=True)

    def test_an_impostor_that_is_silent_does_not_displace_a_contact(self):
        self.check_impostor_is_ignored(answers=False)

    def check_impostor_is_ignored(self, answers):
        real = self.become_contact("127.0.0.2")
        impostor = self.start_peer(
            "127.0.0.3", node_id=real.id, answers=answers
        )
        self.check_stays_known(
            real, lambda: impostor.query(self.node.address, "ping")
        )

    def test_a_query_with_another_id_does_not_remove_a_contact(self):
        # libtorrent's IPv6 node sends queries from the IPv4 socket, with its
        # own id.
        real = self.become_contact("127.0.0.2")
        real.query(self.node.address, "ping", id=os.urandom(20))
        self.check_stays_known(real)


class Hearsay(InteropTest):
    """The node joins through a peer that names other contacts."""

    def join_through_gossip(self, *rumours):
        gossip = self.start_peer("127.0.0.2", hands_out=rumours)
        node = self.start_node("--bootstrap", endpoint_text(*gossip.address))
        gossip.wait_for_query(INTRODUCED_SECONDS, b"find_node")
        node.wait_for_contact(gossip.address, INTRODUCED_SECONDS)
        return node, gossip

    def test_an_address_that_was_never_heard_is_not_handed_out(self):
        rumours = [
            Contact(os.urandom(20), "127.0.3.1", port)
            for port in range(4001, 4009)
        ]
        node, gossip = self.join_through_gossip(*rumours)
        for rumour in rumours:
            self.assertEqual(node.contacts(rumour.id), [gossip.contact])

    def test_port_0_is_not_handed_out(self):
        nowhere = Contact(os.urandom(20), "127.0.3.1", 0)
        node, gossip = self.join_through_gossip(nowhere)
        self.assertEqual(node.contacts(nowhere.id), [gossip.contact])

    def test_a_contact_that_answers_is_handed_out(self):
        friend = self.start_peer("127.0.0.3")
        node, _ = self.join_through_gossip(friend.contact)
        node.wait_for_contact(friend.address, INTRODUCED_SECONDS, friend.id)
