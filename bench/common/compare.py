"""Without an agent, with one that traces something else, with one that traces the service: interleaved rounds, so that a
drift of the machine hits all three; medians and spread."""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

from common.measure import Tracing, lost, measured

MODES = ("off", "idle", "on")
TITLES = {"off": "without", "idle": "agent idle", "on": "traced"}
ROWS = (("rate", "{unit}s/s"), ("p50", "p50, ms"), ("p99", "p99, ms"), ("p999", "p99.9, ms"), ("service_us", "service CPU us/{unit}"),
        ("client_us", "client CPU us/{unit}"), ("agent_us", "agent CPU us/{unit}"), ("all_us", "all three, us/{unit}"),
        ("agent_cores", "agent CPU cores"), ("rss_mb", "agent RSS MB"), ("maps_mb", "locked maps MB"))


def parser(name, doc):
    made = argparse.ArgumentParser(prog=f"bench/{name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--seconds", type=int, default=4)
    made.add_argument("--json", metavar="FILE")
    return made


def one_round(stack, mode, saturated, half, half_rate):
    """`half`, where there is one, runs at half the rate that was possible without an agent."""
    with Tracing(stack, mode) as tracing:
        saturated(1)  # connections, caches and the agent's tables are warm
        figures = {"full": measured(stack, tracing, lambda: saturated(None))}
        figures["full"].update(tracing.memory())
        if half:
            rate = half_rate or figures["full"]["rate"] / 2
            figures["half"] = measured(stack, tracing, lambda: half(rate))
            figures["half"].update(tracing.memory())
    if mode == "on":
        figures["lost"] = lost(tracing.agent.counters())
    return figures


def compare(title, unit, stack, saturated, options, half=None):
    """saturated(seconds or None for the usual), half(rate): loads, as in common/loads. Prints; returns the figures."""
    rounds = {mode: [] for mode in MODES}
    half_rate = None
    for number in range(options.rounds):
        for mode in MODES if number % 2 == 0 else reversed(MODES):
            rounds[mode].append(one_round(stack, mode, saturated, half, half_rate))
            half_rate = half_rate or (rounds["off"][0]["full"]["rate"] / 2 if rounds["off"] else None)
    figures = {}
    for load in ("full", "half") if half else ("full",):
        figures[load] = {key: {mode: spread([r[load][key] for r in rounds[mode]]) for mode in MODES if key in rounds[mode][0][load]}
                         for key, _ in ROWS}
        name = "saturated" if load == "full" else f"at half load, {half_rate:.0f} {unit}s/s"
        show(f"{title}, {name}, {options.rounds} rounds, {os.cpu_count()} cores", unit, figures[load])
    full = figures["full"]
    figures["throughput_lost"] = 1 - full["rate"]["on"]["median"] / full["rate"]["off"]["median"]
    figures["throughput_lost_by_cpu"] = 1 - full["all_us"]["off"]["median"] / full["all_us"]["on"]["median"]
    figures["lost"] = {name: value for r in rounds["on"] for name, value in r["lost"].items()}
    print(f"throughput lost: {figures['throughput_lost']:.1%} measured, {figures['throughput_lost_by_cpu']:.1%} by CPU time per {unit}"
          f"; lost events: {figures['lost'] or 'none'}", flush=True)
    return figures


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def cell(value):
    return f"{value['median']:.4g} ({value['min']:.4g}..{value['max']:.4g})"


def show(title, unit, figures):
    print(f"\n{title}\n{'':26}" + "".join(f"{TITLES[mode]:>30}" for mode in MODES) + f"{'traced/without':>16}")
    for key, label in ROWS:
        row = figures[key]
        if not row or (key.startswith("agent") and row["on"]["max"] == 0):
            continue
        cells = "".join(f"{cell(row[mode]) if mode in row else '':>30}" for mode in MODES)
        ratio = row["on"]["median"] / row["off"]["median"] if row.get("off", {}).get("median") else None
        print(f"{label.format(unit=unit):26}{cells}" + (f"{ratio:>16.3f}" if ratio else ""))


def finish(figures, options, status=0):
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(status)
