"""The HTTP API of a node in a small overlay.

schemathesis makes requests of the description at /v1/openapi.json, valid and
invalid ones, and compares the responses with it.
"""

import json
import os
import subprocess
import unittest
import urllib.request
from pathlib import Path

import http_node
from case import InteropTest
from polling import eventually

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("BUILD", HERE.parents[1] / "build")).resolve()
SCHEMATHESIS = BUILD / "web" / "python" / "bin" / "schemathesis"

POLICY = """
return { name = "hello", rpc = { hello = function(request)
  return { text = "hi", got = request.args.a }
end } }
"""
RUN_SECONDS = 100


class ApiTest(InteropTest):
    """Four nodes with a policy, of which the first one serves HTTP."""

    def setUp(self):
        super().setUp()
        policy = self.make_folder() / "hello.lua"
        policy.write_text(POLICY)
        options = ("--policy", str(policy))
        self.node, self.url = http_node.start(self, *options)
        self.others = [
            self.start_node(
                *options, "--bootstrap", self.node.endpoint, hosts=[host]
            )
            for host in ("127.0.0.2", "127.0.0.3", "127.0.0.4")
        ]
        eventually(
            lambda: len(self.node.contacts()) == len(self.others),
            10,
            "the node knows the others",
        )

    def test_responses_are_those_of_the_description(self):
        environment = {
            **os.environ,
            "API_NODES": " ".join(node.endpoint for node in self.others),
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SCHEMATHESIS_HOOKS": "api_hooks",
        }
        completed = subprocess.run(
            [
                *(SCHEMATHESIS, "--config-file", HERE / "schemathesis.toml"),
                *("run", f"{self.url}/v1/openapi.json"),
                *("--header", f"Authorization: Bearer {http_node.TOKEN}"),
                *("--phases", "examples,coverage,fuzzing"),
                *("--max-examples", "20", "--seed", "1", "--no-shrink"),
                *("--request-timeout", "10", "--continue-on-failure"),
                *("--suppress-health-check", "all"),
                *("--generation-database", "none"),
            ],
            env=environment,
            cwd=self.make_folder(),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
        self.assertEqual(completed.returncode, 0, completed.stdout)
        self.assertIn("Tested: 6", completed.stdout)
        self.assertEqual(
            http_node.send("GET", f"{self.url}/health/live").status, 200
        )

    def test_a_watch_sends_what_is_stored(self):
        url = f"{self.url}/v1/records/name:news"
        with urllib.request.urlopen(f"{url}?watch", timeout=20) as stream:
            self.assertEqual(
                stream.headers["Content-Type"], "text/event-stream"
            )
            self.assertEqual(
                http_node.send("PUT", url, b"hello").document["stored"], 4
            )
            lines = iter(lambda: stream.readline().decode().rstrip(), None)
            event = next(line for line in lines if line.startswith("event"))
            self.assertEqual(event, "event: changed")
            next(lines)
            data = json.loads(next(lines).removeprefix("data: "))
            self.assertEqual(data["value"], "hello")

    def test_a_query_reaches_a_policy(self):
        response = http_node.send(
            "POST",
            f"{self.url}/v1/queries/hello",
            {"address": self.others[1].endpoint, "args": {"a": [1, "x"]}},
        )
        reply = response.document["reply"]
        self.assertEqual((reply["text"], reply["got"]), ("hi", [1, "x"]))

    def test_a_write_needs_the_token(self):
        for token in ("", "x" * 32):
            response = http_node.send(
                "PUT", f"{self.url}/v1/records/name:a", b"x", token=token
            )
            self.assertEqual(response.status, 401)


if __name__ == "__main__":
    unittest.main()
