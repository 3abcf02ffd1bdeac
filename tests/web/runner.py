"""Runs the tests named on the command line, or all. `run` starts it."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIME_LIMIT_S = 240

# Nodes, processes and the runner are those of the interoperability tests.
sys.path.insert(0, str(HERE.parent / "interop"))

import suite  # noqa: E402


if __name__ == "__main__":
    sys.exit(suite.run("web", HERE, sys.argv[1:], TIME_LIMIT_S))
