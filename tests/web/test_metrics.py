"""/metrics of a running node, read by Prometheus and by other readers."""

import json
import re
import subprocess
import urllib.parse
import urllib.request

import bittorrent
from case import InteropTest
from node import ROOT
from polling import eventually
from process import Process
from prometheus_client.openmetrics import parser

START_SECONDS = 20
SCRAPES = 6
RULES = ROOT / "packaging" / "prometheus" / "kadenza.rules.yml"
RULE_TESTS = RULES.with_name("kadenza.rules.test.yml")
DASHBOARD = ROOT / "packaging" / "grafana" / "kadenza.json"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"

POLICY = """
return {
  name = "notes",
  metrics = { stored = { type = "counter", help = "Notes stored." } },
  types = { note = { validate = function(_, ctx)
    ctx.node:count("stored")
    return true
  end } },
  on_request = function() return true end,
}
"""

CONFIGURATION = """
global:
  scrape_interval: 500ms
  scrape_timeout: 500ms
  evaluation_interval: 500ms
rule_files: ["{rules}"]
scrape_configs:
  - job_name: kadenza
    static_configs: [targets: ["{target}"]]
"""


def read(url, accept=None):
    """Returns the type and the text of what a URL has."""
    request = urllib.request.Request(url)
    if accept:
        request.add_header("Accept", accept)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.headers["Content-Type"], response.read().decode()


def promtool(*arguments, text=None):
    """Runs promtool. Returns the completed process."""
    return subprocess.run(
        ["promtool", *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Prometheus(Process):
    """A Prometheus that scrapes one target, and has the alerts."""

    def __init__(self, target):
        port = bittorrent.free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{port}"

        def command(folder):
            configuration = folder / "prometheus.yml"
            configuration.write_text(
                CONFIGURATION.format(rules=RULES, target=target)
            )
            return [
                "prometheus",
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ]

        super().__init__("prometheus", command)

    def get(self, path, **arguments):
        """Returns the data of a request to its API."""
        query = urllib.parse.urlencode(arguments)
        _, text = read(f"{self.url}/api/v1/{path}?{query}")
        return json.loads(text)["data"]

    def query(self, expression):
        """Returns the series of an expression."""
        return self.get("query", query=expression)["result"]

    def wait_for_scrapes(self):
        """Waits until it has scraped the target often enough for rates."""

        def scraped():
            try:
                found = self.query('count_over_time(up{job="kadenza"}[1m])')
            except OSError:
                return False
            return found and float(found[0]["value"][1]) >= SCRAPES

        eventually(scraped, START_SECONDS, f"{SCRAPES} scrapes")


class MetricsTest(InteropTest):
    """A node that has joined another one, stores records and runs hooks."""

    def setUp(self):
        super().setUp()
        policy = self.make_folder() / "notes.lua"
        policy.write_text(POLICY)
        first = self.start_node("--policy", policy)
        self.node = self.start_node(
            *("--policy", policy, "--bootstrap", first.endpoint),
            *("--http", "127.0.0.1:0", "--store", "lmdb"),
        )
        self.node.wait_for_contact(first.address, 20)
        for key in range(3):
            self.assertSucceeds(
                self.node.command(
                    *("put", f"key{key}", "x", "--type", "note"),
                    *("--policy", policy),
                )
            )
        url = re.search(
            r"^kadenza: serving (http://127\.0\.0\.1:\d+)/$",
            self.node.output,
            re.MULTILINE,
        )
        self.url = f"{url[1]}/metrics"
        self.target = urllib.parse.urlsplit(url[1]).netloc

    def test_promtool_accepts_the_text(self):
        kind, text = read(self.url)
        self.assertEqual(kind, PLAIN)
        checked = promtool("check", "metrics", text=text)
        self.assertEqual((checked.stdout, checked.stderr), ("", ""))
        self.assertSucceeds(checked)

    def test_the_text_is_openmetrics_for_those_who_ask_for_it(self):
        kind, text = read(self.url, "application/openmetrics-text")
        self.assertEqual(kind, OPENMETRICS)
        families = {
            family.name: family
            for family in parser.text_string_to_metric_families(text)
        }
        hooks = families["kadenza_hook_calls"].samples
        self.assertIn(
            "notes: note.validate", [s.labels["hook"] for s in hooks]
        )
        stored = families["kadenza_policy_notes_stored"]
        self.assertEqual(stored.documentation, "Notes stored.")
        self.assertGreater(stored.samples[0].value, 0)
        self.assertGreater(families["process_open_fds"].samples[0].value, 3)
        _, plain = read(self.url)
        self.assertEqual(
            len(families), len(re.findall("^# TYPE ", plain, re.MULTILINE))
        )

    def test_prometheus_has_what_the_dashboard_and_the_alerts_ask_for(self):
        prometheus = self._started(Prometheus(self.target))
        prometheus.wait_for_scrapes()

        (target,) = prometheus.get("targets")["activeTargets"]
        self.assertEqual((target["health"], target["lastError"]), ("up", ""))
        for title, expression in dashboard_expressions():
            with self.subTest(panel=title, expression=expression):
                self.assertTrue(prometheus.query(expression))
        for rule in self._evaluated_rules(prometheus):
            with self.subTest(alert=rule["name"]):
                self.assertEqual(rule["health"], "ok")
                self.assertNotEqual(rule["state"], "firing")
                for name in re.findall(r"\b(?:kadenza|process)_\w+",
                                       rule["query"]):
                    self.assertTrue(prometheus.query(name), name)

    def _evaluated_rules(self, prometheus):
        def evaluated():
            (group,) = prometheus.get("rules")["groups"]
            done = all(rule["health"] != "unknown" for rule in group["rules"])
            return group["rules"] if done else None

        return eventually(evaluated, START_SECONDS, "the rules are evaluated")


class RulesTest(InteropTest):
    """The alerts."""

    def test_promtool_accepts_the_rules(self):
        self.assertSucceeds(promtool("check", "rules", RULES))

    def test_alerts_fire_when_they_should_and_not_otherwise(self):
        self.assertSucceeds(promtool("test", "rules", RULE_TESTS))


def dashboard_expressions():
    """Returns (title, expression) of all panels, and of the variables."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = [("annotation", dashboard["annotations"]["list"][0]["expr"][:-4])]
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            found.append((panel["title"], target["expr"]))
    return [
        (
            title,
            expression.replace("$instance", ".*").replace(
                "$__rate_interval", "10s"
            ),
        )
        for title, expression in found
    ]
