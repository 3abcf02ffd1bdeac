"""Runs the tests named on the command line, or all. `run` starts it."""

import sys
from pathlib import Path

import findings
import suite

TIME_LIMIT_S = 480


def check_findings(writes):
    """Compares or writes docs/interop.md. Returns the number of failures."""
    if writes:
        findings.write()
        return 0
    problem = findings.problem()
    if problem:
        print(f"interop: {problem}")
    return 1 if problem else 0


def main(names):
    """Runs the tests. Returns the exit status."""
    writes = "--table" in names
    names = [name for name in names if name != "--table"]
    here = Path(__file__).resolve().parent
    return suite.run(
        "interop", here, names, TIME_LIMIT_S, lambda: check_findings(writes)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
