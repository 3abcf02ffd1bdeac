"""Prints the figures of a run as a table, and writes them as JSON."""

import dataclasses
import json
from statistics import median

from cases import ADDED, GROWTH

HEADER = ("case", "CPU us", "echo us", "ratio", "lowest", "highest",
          "replies/s", "p50 us", "p99 us", "bytes", "nodes", "lost", "errors")


def cpu_of(run):
    """Returns the node's processor time per reply, in microseconds."""
    return run["node"]["cpu_us_a_reply"]


def ratios_of(runs):
    """Returns the ratio of node to echo for each complete repetition."""
    return [cpu_of(run) / run["echo"]["cpu_us_a_reply"] for run in runs
            if run["node"]["replies"] and run["echo"]["cpu_us_a_reply"]]


def errors_text(runs):
    """Returns the error codes with their counts."""
    sums = {}
    for run in runs:
        for code, count in run["node"]["errors"].items():
            sums[code] = sums.get(code, 0) + count
    return " ".join(f"{code}:{count}" for code, count in sums.items()) or "-"


def line_of(name, runs):
    """Returns the cells of one row."""
    nodes = [run["node"] for run in runs]
    ratios = ratios_of(runs)
    lost = sum(node["lost"] for node in nodes)
    if not ratios:
        return [name, *["-"] * 10, str(lost), errors_text(runs)]
    return [
        name, f"{median(map(cpu_of, runs)):.2f}",
        f"{median(run['echo']['cpu_us_a_reply'] for run in runs):.2f}",
        f"{median(ratios):.2f}", f"{min(ratios):.2f}", f"{max(ratios):.2f}",
        f"{median(node['replies_per_second'] for node in nodes):.0f}",
        f"{median(node['p50_us'] for node in nodes):.0f}",
        f"{median(node['p99_us'] for node in nodes):.0f}",
        f"{median(node['reply_bytes'] for node in nodes):.0f}",
        f"{median(node['reply_nodes'] for node in nodes):.1f}",
        str(lost), errors_text(runs),
    ]


def paired(rows, name, base, combine):
    """Returns the median of `combine` over the repetitions of two rows."""
    if name not in rows or base not in rows:
        return None
    pairs = zip(rows[name]["runs"], rows[base]["runs"])
    values = [combine(cpu_of(run), cpu_of(other)) for run, other in pairs
              if run["node"]["replies"] and other["node"]["replies"]]
    return median(values) if values else None


def derived(rows):
    """Returns figures of pairs of rows: title, value, unit."""
    found = []
    for title, name, base in GROWTH:
        value = paired(rows, name, base, lambda a, b: a / b)
        found.append((title, value, "times the CPU"))
    for title, name, base in ADDED:
        value = paired(rows, name, base, lambda a, b: a - b)
        found.append((title, value, "us CPU a reply"))
    return [item for item in found if item[1] is not None]


def print_rows(rows):
    """Prints the rows of the table."""
    lines = [HEADER, *(line_of(name, row["runs"])
                       for name, row in rows.items())]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width)
                  for cell, width in zip(line[1:], widths[1:])]
        print("  ".join(cells))


def print_memory(memory):
    """Prints the memory of records, and of the node without records."""
    idle = [figures["idle_kib"] for figures in memory.values()]
    private = [figures["idle_private_kib"] for figures in memory.values()]
    print(f"idle memory: {median(idle) / 1024:.1f} MiB resident, "
          f"{median(private) / 1024:.1f} MiB private")
    for name, figures in memory.items():
        cost = figures["bytes_a_record"]
        text = "-" if cost is None else f"{cost:.0f} bytes"
        print(f"{name}: {text} ({figures['records']} held, "
              f"refused {figures['refused'] or 'none'})")


def print_all(rows, memory, others):
    """Prints all figures, and the processor time of other processes."""
    print_rows(rows)
    extra = derived(rows)
    if extra:
        print()
    for title, value, unit in extra:
        print(f"{title}: {value:.2f} {unit}")
    if memory:
        print()
        print_memory(memory)
    print(f"\nother processes used {others * 100:.0f} % of a core")


def write_json(path, rows, memory, others):
    """Writes every figure of every repetition to a file."""
    content = {
        "cases": {
            name: {"case": dataclasses.asdict(row["case"]),
                   "ratio": median(ratios_of(row["runs"]) or [0]),
                   "runs": row["runs"]}
            for name, row in rows.items()
        },
        "derived": {title: value for title, value, _ in derived(rows)},
        "memory": memory,
        "others_cores": others,
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
