"""What each BPF program of an agent takes, by the kernel's own run-time statistics. They cost something themselves: apart from other figures."""

import json
import subprocess
from pathlib import Path

from harness.stack import need

SWITCH = Path("/proc/sys/kernel/bpf_stats_enabled")


def hook_costs(ids, load):
    """A row for each of an agent's programs that ran while `load` did its work; that returns the operations served."""
    was = SWITCH.read_text()
    before = {row["id"]: row for row in _programs(ids)}
    try:
        SWITCH.write_text("1")
        served = load()
        after = _programs(ids)
    finally:
        SWITCH.write_text(was)
    rows = []
    for row in after:
        runs = row.get("run_cnt", 0) - before[row["id"]].get("run_cnt", 0)
        ns = row.get("run_time_ns", 0) - before[row["id"]].get("run_time_ns", 0)
        if runs:
            rows.append({"name": row["name"], "runs_per_request": runs / served, "ns_per_run": ns / runs})
    return sorted(rows, key=lambda row: -row["runs_per_request"] * row["ns_per_run"])


def print_hooks(rows):
    print(f"\n{'BPF program':28}{'runs/request':>16}{'ns/run':>10}{'us/request':>12}   (runs of the whole host)")
    for row in rows:
        print(f"{row['name']:28}{row['runs_per_request']:>16.2f}{row['ns_per_run']:>10.0f}{row['runs_per_request'] * row['ns_per_run'] / 1000:>12.3f}")


def _programs(ids):
    listed = subprocess.run([need("bpftool"), "-j", "prog", "show"], capture_output=True, check=True, text=True).stdout
    return [row for row in json.loads(listed) if row["id"] in ids]
