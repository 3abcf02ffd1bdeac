"""Compares a node with a UDP echo server and prints a table.

README.md explains the figures.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time

import table
from cases import CASES, MEMORY, MEMORY_SOURCES
from machine import Watch
from server import Failure, Server, pin

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("BUILD", os.path.join(HERE, "..", "build"))
SERVER_CORE = 0
LOAD_CORE = 1
NODES = 160
LOAD_GRACE_SECONDS = 60
IDLE_SECONDS = 1.0


def default_program():
    """Returns the kadenza program that the build made."""
    return os.environ.get("KADENZA") or os.path.join(BUILD, "kadenza")


def parse_options():
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--server", metavar="CMD",
                        help="measure this instead of kadenza; it prints "
                        "`listening on 127.0.0.1:PORT`")
    parser.add_argument("--program", default=default_program(),
                        help="the kadenza program (%(default)s)")
    parser.add_argument("--repetitions", type=int, default=7, metavar="N")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S",
                        help="duration of a measurement (%(default)s)")
    parser.add_argument("--window", type=int, default=64, metavar="N",
                        help="queries in flight (%(default)s)")
    parser.add_argument("--sources", type=int, default=8, metavar="N",
                        help="addresses to send from (%(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT,...",
                        help="only cases whose name contains one of these")
    parser.add_argument("--no-memory", action="store_true",
                        help="do not measure memory")
    parser.add_argument("--json", metavar="FILE",
                        help="write all figures to this file")
    parser.add_argument("--smoke", action="store_true",
                        help="only check that replies arrive; takes seconds")
    return parser.parse_args()


class Bench:
    """One run: its options and its figures."""

    def __init__(self, options):
        self.options = options
        pinned = len(os.sched_getaffinity(0)) > 1
        self.server_core = SERVER_CORE if pinned else None
        self.load_core = LOAD_CORE if pinned else None
        self.rows = {}
        self.memory = {}
        self.failures = {}

    def tool(self, name):
        """Returns the path of one of the benchmark's own programs."""
        return os.path.join(BUILD, "bench", name)

    def command(self, policy):
        """Returns the command that starts the node under test."""
        if self.options.server:
            return self.options.server
        command = (f"{self.options.program} run --listen 127.0.0.1:0"
                   " --allow-local --limits off --max-records 1000000"
                   " --max-records-address 1000000"
                   " --max-records-publisher 1000000"
                   " --max-bytes 1000000000")
        if policy != "none":
            path = os.path.join(HERE, "policies", f"{policy}.lua")
            command += f" --policy {path}"
        return command

    def start_echo(self):
        """Starts the echo server."""
        return Server(self.tool("echo"), self.server_core)

    def start_node(self, policy="none"):
        """Starts the node under test."""
        return Server(self.command(policy), self.server_core)

    def load(self, server, *arguments):
        """Runs the load generator and returns its figures."""
        command = [self.tool("load"), "--json", "--pid", str(server.pid),
                   *map(str, arguments), server.address]
        limit = self.options.seconds + LOAD_GRACE_SECONDS
        try:
            done = subprocess.run(command, capture_output=True, text=True,
                                  timeout=limit, check=False,
                                  preexec_fn=pin(self.load_core))
        except subprocess.TimeoutExpired as late:
            raise Failure("load: did not end in time") from late
        if not done.stdout.startswith("{"):
            raise Failure(f"load: {done.stderr.strip() or 'no figures'}")
        return json.loads(done.stdout)

    def measure(self, server, case, *extra):
        """Returns the figures of one case at one server."""
        return self.load(
            server, "--kind", case.kind, "--spread", "--keys", case.keys,
            "--window", self.options.window,
            "--sources", self.options.sources,
            "--seconds", self.options.seconds / case.rounds, *extra)

    @contextlib.contextmanager
    def full_table(self, server):
        """Fills the server's routing table for as long as the block runs."""
        swarm = subprocess.Popen(
            [self.tool("load"), "--fill", str(NODES), server.address],
            stdout=subprocess.PIPE, text=True, preexec_fn=pin(self.load_core))
        try:
            yield swarm.stdout.readline().strip()
        finally:
            swarm.terminate()
            swarm.wait()
            swarm.stdout.close()

    def add(self, case, echo, node):
        """Adds the figures of one repetition of a case."""
        row = self.rows.setdefault(case.name, {"case": case, "runs": []})
        row["runs"].append({"echo": echo, "node": node})

    def run_case(self, case, echo, node):
        """Measures one case, the echo server first."""
        limit = self.measure(echo, case, "--echo")
        extra = ["--preload"] if case.stores else []
        if not case.fill:
            self.add(case, limit, self.measure(node, case, *extra))
            return
        with self.full_table(node) as message:
            figures = self.measure(node, case, *extra)
            figures["fill"] = message
            self.add(case, limit, figures)

    def selected(self):
        """Returns the cases that the options select, by group."""
        wanted = [text for text in self.options.only.split(",") if text]
        groups = {}
        for case in CASES:
            possible = case.policy == "none" or not self.options.server
            named = not wanted or any(text in case.name for text in wanted)
            if possible and named:
                groups.setdefault(case.group, []).append(case)
        return groups

    def repeat(self, number):
        """Runs every case once. If a node fails, skips only its cases."""
        for group, cases in self.selected().items():
            if group in self.failures:
                continue
            try:
                self.run_group(number, cases)
            except Failure as failure:
                self.failures[group] = str(failure)

    def run_group(self, number, cases):
        """Runs the cases of a group, in rounds."""
        with contextlib.ExitStack() as stack:
            echo = stack.enter_context(self.start_echo())
            nodes = self.start_nodes(stack, cases)
            for case in cases * cases[0].rounds:
                if case.policy in nodes:
                    progress(f"repetition {number + 1} of "
                             f"{self.options.repetitions}: {case.name}")
                    self.run_case(case, echo, nodes[case.policy])

    def start_nodes(self, stack, cases):
        """Starts a node for each policy. Returns the nodes that run."""
        nodes = {}
        for policy in dict.fromkeys(case.policy for case in cases):
            if f"policy {policy}" in self.failures:
                continue
            try:
                nodes[policy] = stack.enter_context(self.start_node(policy))
            except Failure as failure:
                self.failures[f"policy {policy}"] = str(failure)
        return nodes

    def measure_memory(self, memory):
        """Measures the memory of one kind of records."""
        with self.start_node() as node:
            time.sleep(IDLE_SECONDS)
            idle, idle_private = node.resident_kib()
            figures = self.load(
                node, "--kind", memory.kind, "--preload", "--keys",
                memory.keys, "--sources", MEMORY_SOURCES, "--window", 200,
                "--seconds", 0.05, *(["--spread"] if memory.spread else []))
            _, full_private = node.resident_kib()
        records = memory.keys * (1 if memory.spread else MEMORY_SOURCES)
        failed = figures["warm_up"]["errors"]
        stored = records - sum(failed.values())
        grown = (full_private - idle_private) * 1024
        self.memory[memory.name] = {
            "records": stored, "refused": failed, "idle_kib": idle,
            "idle_private_kib": idle_private,
            "bytes_a_record": grown / stored if stored > 0 else None,
        }

    def run(self):
        """Measures all cases that the options select, and the memory."""
        for number in range(self.options.repetitions):
            self.repeat(number)
        if self.options.no_memory or self.options.only:
            return
        for memory in MEMORY:
            progress(f"memory: {memory.name}")
            try:
                self.measure_memory(memory)
            except Failure as failure:
                self.failures[memory.name] = str(failure)


def progress(text):
    """Shows the current step on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def smoke(bench):
    """Checks that replies arrive from the echo server and from the node."""
    bench.options.seconds = 0.2
    names = ("ping", "find_node", "store few", "get_peers few", "scrape",
             "sample", "get few", "put few", "get_mutable few",
             "put_mutable few", "update few")
    cases = [case for case in CASES if case.name in names]
    with bench.start_echo() as echo:
        works = [check(bench, "echo", echo, "--echo", case) for case in cases]
    if not bench.options.server:
        if not os.path.exists(bench.options.program):
            print(f"skipped - {bench.options.program} does not exist")
            return all(works)
        cases += [case for case in CASES if case.policy != "none"]
    for policy in dict.fromkeys(case.policy for case in cases):
        with bench.start_node(policy) as node:
            works += [check(bench, "node", node, "--preload", case)
                      for case in cases if case.policy == policy]
    return all(works)


def check(bench, name, server, extra, case):
    """Measures one case for a short time. Prints and returns its success."""
    figures = bench.measure(server, case, extra)
    replies, lost = figures["replies"], figures["lost"]
    works = replies > 0 and not figures["errors"]
    print(f"{'ok' if works else 'not ok'} - {name} {case.name}: {replies} "
          f"replies, {lost} lost, errors {figures['errors']}")
    return works


def main():
    """Runs the benchmark. Returns the exit status."""
    options = parse_options()
    bench = Bench(options)
    watch = Watch()
    try:
        if options.smoke:
            return 0 if smoke(bench) else 1
        bench.run()
    except (Failure, OSError) as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    progress("")
    others = watch.others()
    table.print_all(bench.rows, bench.memory, others)
    if options.json:
        table.write_json(options.json, bench.rows, bench.memory, others)
    for name, failure in bench.failures.items():
        print(f"bench: {name}: {failure}", file=sys.stderr)
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
