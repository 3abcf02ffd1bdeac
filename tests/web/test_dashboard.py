"""The dashboard, in a browser, with a node that has something to do."""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

from browser import Browser
from case import InteropTest
from krpc import Peer
from node import Node
from polling import eventually

POLICY = Path(__file__).resolve().parent / "dashboard.lua"
SERVING = re.compile(r"^kadenza: serving (http://\S+:(\d+)/)$", re.MULTILINE)
PANELS = {
    "Node",
    "Traffic by kind",
    "Bytes",
    "Routing table",
    "Network size",
    "Lookup times",
    "Hooks",
    "Records and quotas",
    "Top talkers",
    "Drops and refusals",
    "Live log",
}
TAB = 9

# The cells of a table by the first cell of each row.
TABLE = """Object.fromEntries([...document.querySelectorAll('#%s tbody tr')]
  .map((row) => [...row.cells].map((cell) => cell.querySelector('meter')
    ? cell.querySelector('meter').getAttribute('aria-label')
    : cell.textContent))
  .map(([name, ...cells]) => [name, cells]))"""

# The descriptions of a list by their terms.
PAIRS = """Object.fromEntries([...document.querySelectorAll('#%s dt')]
  .map((term) => [term.textContent, term.nextElementSibling.textContent]))"""

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


NAME = """((it) => it === document.body ? '' : it.id || it.dataset.step
  || it.getAttribute('aria-labelledby')
  || it.closest('figure')?.dataset.chart || it.className)"""


class DashboardTest(InteropTest):
    """The tests share a browser and a node: both take a while to be of use."""

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.stop)
        cls.busy = Node("--http", "127.0.0.1:0", "--policy", POLICY)
        cls.addClassCleanup(cls.busy.stop)
        cls.keep_busy()

    @classmethod
    def keep_busy(cls):
        """Has others talk to the busy node, well and badly."""
        with Peer("127.0.0.2") as peer:
            for i in range(30):
                peer.query(cls.busy.address, "ping")
                peer.query(cls.busy.address, "find_node", target=bytes([i] * 20))
            peer.query(cls.busy.address, "bad")
            peer.send({"y": "nothing"}, cls.busy.address)
        for command in (("put", "greeting", "hello"), ("get", "greeting")):
            cls.busy.command(*command)

    def setUp(self):
        super().setUp()
        self.processes.append(self.busy)
        self.url = SERVING.search(self.busy.output)[1]
        self.browser.requests.clear()
        self.browser.problems.clear()
        self.browser.show_as(1280)

    def tearDown(self):
        self.browser.open("about:blank")  # before its node stops

    def start(self, *options, host="127.0.0.1", port=0):
        """Starts another node with a dashboard, whose address is `self.url`."""
        node = self.start_node(
            *("--http", f"{host}:{port}", "--policy", POLICY), *options
        )
        self.url, self.port = SERVING.search(node.output).groups()
        return node

    def shout(self, node, text):
        """Has the policy of a node write a line of the log."""
        with Peer("127.0.0.3", answers=False) as peer:
            peer.query(node.address, "shout", text=text.encode())

    def wait_for_log(self, text):
        self.browser.wait_for(
            f"document.getElementById('log').textContent.includes('{text}')",
            f"the log shows '{text}'",
        )

    def read(self, path):
        """Returns a document of the node."""
        with urllib.request.urlopen(self.url + path) as response:
            return json.load(response)

    def table(self, name):
        return self.browser.evaluate(TABLE % name)

    def pairs(self, name):
        return self.browser.evaluate(PAIRS % name)

    def assertClean(self):
        """Checks that the page has asked only its node, and all went well."""
        self.browser.settle()
        self.assertEqual(self.browser.problems, [])
        for url in self.browser.requests:
            self.assertRegex(url, f"^({re.escape(self.url)}|data:)")

    def wait_until_shown(self):
        """Waits until the page shows what the node counts now."""

        def is_shown():
            totals = {
                row["text"]: f"{row['total']:,}"
                for row in self.read("v1/overview")["traffic"]
                if row["total"] > 0 and not row["name"].startswith("bytes_")
            }
            shown = {name: row[2] for name, row in self.table("traffic").items()}
            return totals == shown

        eventually(is_shown, 20, "the page shows the traffic of the node")

    def wait_for_charts(self):
        self.browser.wait_for(
            "document.querySelectorAll('.plot:not([hidden]) canvas').length > 8",
            "the charts are drawn",
        )

    # ------------------------------------------------------------- panels --

    def test_every_panel_shows_what_the_node_does(self):
        node = self.busy
        self.shout(node, HOSTILE)
        self.browser.open(self.url)
        self.wait_for_charts()
        self.wait_until_shown()
        document = self.read("v1/overview")
        self.assertEqual(
            set(
                self.browser.evaluate(
                    "[...document.querySelectorAll('section')].map((it) => "
                    "document.getElementById(it.getAttribute("
                    "'aria-labelledby')).textContent)"
                )
            ),
            PANELS,
        )
        self.check_node(node, document)
        self.check_tables(document)
        self.check_log()
        self.check_charts()
        self.assertClean()

    def check_node(self, node, document):
        facts = self.pairs("facts")
        self.assertEqual(facts["Id"], node.id.hex())
        self.assertEqual(facts["Addresses"], node.endpoint)
        self.assertEqual(
            self.browser.evaluate("document.getElementById('state').textContent"),
            document["node"]["state"],
        )
        tiles = self.pairs("tiles")
        contacts = document["contacts"]
        self.assertEqual(
            tiles["Contacts"], f"{contacts['count']} ({contacts['good']} good)"
        )
        self.assertEqual(tiles["Records"], str(document["records"]["count"]))
        self.assertRegex(tiles["Queries answered"], r"^[\d.]+/s$")
        self.assertRegex(tiles["Running for"], r"^(\d+ min )?\d+ s$")

    def check_tables(self, document):
        traffic = self.table("traffic")
        self.assertGreaterEqual(int(traffic["ping queries answered"][2]), 30)
        self.assertRegex(traffic["ping queries answered"][0], r"^[\d.]+/s$")
        self.assertRegex(self.table("bytes")["bytes received"][2], r"kB$")
        drops = self.table("drops")
        self.assertEqual(drops["datagrams dropped: malformed"][2], "1")
        self.assertGreaterEqual(
            int(drops["queries answered with an error"][2]), 1
        )
        self.assertEqual(len(self.table("fill")), len(document["contacts"]["fill"]))
        self.assertIn("serving store", self.table("times"))
        hooks = self.table("hooks")
        self.assertTrue(any("shout" in name for name in hooks), hooks)
        self.assertEqual(self.pairs("records")["By type"], "value 1")
        quotas = self.table("quotas")
        self.assertEqual(quotas["Records"][0], "1")
        self.assertRegex(quotas["Bytes"][2], r"% used$")
        talkers = self.table("talkers")
        self.assertIn("127.0.0.2", talkers)
        self.assertEqual(talkers["127.0.0.2"][2], "1")  # was dropped

    def check_log(self):
        """Checks that a line of the log is text, whatever it has."""
        lines = self.browser.wait_for(
            "[...document.querySelectorAll('#log p')]"
            ".map((it) => it.textContent).filter((it) => it.includes('heard'))",
            "the log has a line of the policy",
        )
        self.assertIn(HOSTILE, lines[0])
        self.assertEqual(
            self.browser.evaluate("document.querySelectorAll('#log p *').length"),
            0,
        )

    def check_charts(self):
        """Checks that charts have ink, and say in words what they show."""
        painted = self.browser.evaluate(
            "[...document.querySelectorAll('.plot:not([hidden])')].map((plot) => "
            "[...plot.querySelectorAll('canvas')].some((canvas) => "
            "canvas.getContext('2d').getImageData(0, 0, canvas.width, "
            "canvas.height).data.some((value) => value > 0)))"
        )
        self.assertTrue(all(painted), painted)
        labels = self.browser.evaluate(
            "[...document.querySelectorAll('.plot:not([hidden])')]"
            ".map((it) => it.getAttribute('aria-label'))"
        )
        self.assertTrue(
            any(re.search(r"queries answered [\d.]+/s", it) for it in labels),
            labels,
        )

    def test_is_one_page_that_may_load_nothing(self):
        with urllib.request.urlopen(self.url) as response:
            page, headers = response.read().decode(), response.headers
        policy = headers["Content-Security-Policy"]
        self.assertTrue(policy.startswith("default-src 'none'; "), policy)
        self.assertNotIn("unsafe", policy)
        self.assertNotRegex(page, r"<(script|link|img|iframe)[^>]* src=")
        self.assertNotIn("sourceMappingURL", page)
        self.assertIn("dygraphs", page)
        self.assertIn("Permission is hereby granted", page)  # its licence
        again = urllib.request.Request(
            self.url, headers={"If-None-Match": headers["ETag"]}
        )
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(again)
        self.assertEqual(caught.exception.code, 304)

    # --------------------------------------------------------------- looks --

    def test_is_light_and_dark_and_fits_a_phone(self):
        self.browser.open(self.url)
        self.wait_for_charts()
        ground = "getComputedStyle(document.body).backgroundColor"
        light = self.browser.evaluate(ground)
        self.browser.show_as(1280, scheme="dark")
        self.assertNotEqual(self.browser.evaluate(ground), light)
        for width in (360, 768, 1920):
            self.browser.show_as(width)
            self.assertLessEqual(
                self.browser.evaluate("document.documentElement.scrollWidth"),
                width,
            )
        self.assertClean()

    def test_is_used_by_keyboard(self):
        self.browser.open(self.url)
        self.wait_for_charts()
        expected = self.browser.evaluate(
            "[...document.querySelectorAll('a, button, select, input, "
            "[tabindex=\"0\"]')].filter((it) => it.checkVisibility())"
            f".map({NAME})"
        )
        self.assertEqual(expected[:6], "skip 5 60 300 traffic h-traffic".split())
        self.assertEqual(expected[-4:], "level filter pause log".split())
        order = []
        for _ in expected:
            self.browser.press("Tab", TAB)
            order.append(self.browser.evaluate(f"{NAME}(document.activeElement)"))
            self.assertNotEqual(
                self.browser.evaluate(
                    "getComputedStyle(document.activeElement).outlineStyle"
                ),
                "none",
                order,
            )
        self.assertEqual(order, expected)
        self.check_keys_of_a_chart()
        self.assertClean()

    def check_keys_of_a_chart(self):
        """Checks that arrow keys show what was before."""
        when = "document.querySelector('[data-chart=size] .when').textContent"
        self.browser.evaluate(
            "document.querySelector('[data-chart=size] .plot').focus()"
        )
        self.assertEqual(self.browser.evaluate(when), "now")
        self.browser.press("ArrowLeft", 37)
        self.assertRegex(self.browser.evaluate(when), r"^\d\d:\d\d:\d\d$")
        self.browser.press("Escape", 27)
        self.assertEqual(self.browser.evaluate(when), "now")

    # ------------------------------------------------------------- restart --

    def test_survives_a_restart_of_the_node(self):
        node = self.start()
        self.browser.open(self.url)
        self.shout(node, "before the restart")
        self.wait_for_log("before the restart")
        rows = "document.getElementById('freshness').textContent"
        self.browser.wait_for(f"{rows}.startsWith('Updated')", "figures")
        self.wait_for_charts()
        node.stop()
        self.browser.wait_for(
            f"{rows}.includes('not reachable since')", "the page says it is lost"
        )
        self.assertEqual(
            self.browser.evaluate("document.getElementById('state').textContent"),
            "not reachable",
        )
        other = self.start(port=self.port)
        self.browser.wait_for(
            f"document.getElementById('facts').textContent.includes("
            f"'{other.id.hex()}')",
            "the page shows the new node",
            20,
        )
        self.wait_for_log("was restarted at")
        self.shout(other, "after the restart")
        self.wait_for_log("after the restart")
        asked = [it for it in self.browser.requests if "/v1/history" in it]
        self.assertTrue(asked[0].endswith("since=0"), asked)
        self.assertGreater(
            float(asked[-1].split("since=")[1]), 1.6e9, "the past was kept"
        )
        self.wait_for_charts()

    # --------------------------------------------------------------- token --

    def test_asks_for_the_token_where_others_reach_it(self):
        token = "a-token-for-the-tests"
        file = self.make_folder() / "token"
        file.write_text(token)
        file.chmod(0o600)
        node = self.start("--http-token-file", file, host="10.0.0.1")
        for path in ("v1/overview", "v1/history", "v1/log"):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                self.read(path)
            self.assertEqual(caught.exception.code, 401)
        self.browser.open(self.url)
        self.browser.wait_for(
            "document.activeElement.id === 'token'", "the page asks for a token"
        )
        self.browser.evaluate(
            f"document.getElementById('token').value = '{token}';"
            "document.querySelector('#login button').click()"
        )
        self.browser.wait_for(
            f"document.getElementById('facts').textContent.includes("
            f"'{node.id.hex()}')",
            "the page shows the node",
        )
        self.shout(node, "for those with a token")
        self.wait_for_log("for those with a token")
        self.assertTrue(
            self.browser.evaluate("document.getElementById('login').hidden")
        )
