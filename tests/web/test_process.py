"""The program under test in this suite's network namespace."""

from case import InteropTest


class ProcessTest(InteropTest):
    """What the tests of this suite rely on."""

    def test_a_node_listens(self):
        node = self.start_node()
        self.assertEqual(node.contacts(), [])
