"""Without an agent, with one that traces something else, with one that traces the service, and with one that does within its
budgets, as `wirespan run` does: interleaved rounds, so that a drift of the machine hits all four; medians and spread."""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

from common.measure import Tracing, accounted, lost, measured

MODES = ("off", "idle", "on", "governed")
TITLES = {"off": "without", "idle": "agent idle", "on": "traced", "governed": "governed"}
# The governor takes a step in two seconds at most, and there are eight.
GOVERNOR_SETTLES = 18
ROWS = (("rate", "{unit}s/s"), ("p50", "p50, ms"), ("p99", "p99, ms"), ("p999", "p99.9, ms"), ("service_us", "service CPU us/{unit}"),
        ("client_us", "client CPU us/{unit}"), ("agent_us", "agent CPU us/{unit}"), ("all_us", "all three, us/{unit}"),
        ("agent_cores", "agent CPU cores"), ("rss_mb", "agent RSS MB"), ("maps_mb", "locked maps MB"))


def parser(name, doc):
    made = argparse.ArgumentParser(prog=f"bench/{name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--seconds", type=int, default=10, help="a multiple of the governor's period of 10 s, else the last column is luck")
    made.add_argument("--json", metavar="FILE")
    return made


def one_round(stack, mode, saturated, half, half_rate, served):
    """`half`, where there is one, runs at half the rate that was possible without an agent. served() -> exact count of the
    service, the asking request in it; where there is one, spans and what the agent counted must add up to it."""
    with Tracing(stack, mode) as tracing:
        before = served() if served else 0
        settled = time.monotonic() + (GOVERNOR_SETTLES if mode == "governed" else 0)
        saturated(1)  # connections, caches and the agent's tables are warm
        while time.monotonic() < settled:
            saturated(1)
        figures = {"full": measured(stack, tracing, lambda: saturated(None))}
        figures["full"].update(tracing.memory())
        if half:
            rate = half_rate or figures["full"]["rate"] / 2
            figures["half"] = measured(stack, tracing, lambda: half(rate))
            figures["half"].update(tracing.memory())
        figures["served"] = served() - before + 1 if served else 0
    if tracing.agent:
        figures["lost"] = lost(tracing.agent.counters())
    if served and mode in ("on", "governed"):
        figures["unaccounted"] = accounted(figures["served"], tracing.agent.counters())
    return figures


def compare(title, unit, stack, saturated, options, half=None, served=None):
    """saturated(seconds or None for the usual), half(rate): loads, as in common/loads. Prints; returns the figures."""
    rounds = {mode: [] for mode in MODES}
    half_rate = None
    for number in range(options.rounds):
        for mode in MODES if number % 2 == 0 else reversed(MODES):
            rounds[mode].append(one_round(stack, mode, saturated, half, half_rate, served))
            half_rate = half_rate or (rounds["off"][0]["full"]["rate"] / 2 if rounds["off"] else None)
    figures = {}
    for load in ("full", "half") if half else ("full",):
        figures[load] = {key: {mode: spread([r[load][key] for r in rounds[mode]]) for mode in MODES if key in rounds[mode][0][load]}
                         for key, _ in ROWS}
        name = "saturated" if load == "full" else f"at half load, {half_rate:.0f} {unit}s/s"
        show(f"{title}, {name}, {options.rounds} rounds, {os.cpu_count()} cores", unit, figures[load])
    full = figures["full"]
    figures["throughput_lost"] = {mode: 1 - full["rate"][mode]["median"] / full["rate"]["off"]["median"] for mode in MODES[1:]}
    figures["throughput_lost_by_cpu"] = {mode: 1 - full["all_us"]["off"]["median"] / full["all_us"][mode]["median"] for mode in MODES[1:]}
    figures["lost"] = {mode: [r["lost"] for r in rounds[mode]] for mode in MODES[1:]}
    for mode in MODES[1:]:
        print(f"{TITLES[mode]}: throughput lost {figures['throughput_lost'][mode]:.1%} measured, {figures['throughput_lost_by_cpu'][mode]:.1%} by CPU time per {unit}"
              f"; lost events: {[one for one in figures['lost'][mode] if one] or 'none'}", flush=True)
    if served:
        figures["unaccounted"] = [r["unaccounted"] for mode in ("on", "governed") for r in rounds[mode]]
        print(f"requests that are neither spans nor counted, per round traced and governed: {figures['unaccounted']}", flush=True)
    return figures


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def cell(value):
    return f"{value['median']:.4g} ({value['min']:.4g}..{value['max']:.4g})"


def show(title, unit, figures):
    print(f"\n{title}\n{'':26}" + "".join(f"{TITLES[mode]:>30}" for mode in MODES) + f"{'traced/without':>16}{'governed/without':>18}")
    for key, label in ROWS:
        row = figures[key]
        if not row or (key.startswith("agent") and row["on"]["max"] == 0):
            continue
        cells = "".join(f"{cell(row[mode]) if mode in row else '':>30}" for mode in MODES)
        without = row.get("off", {}).get("median")
        ratios = f"{row['on']['median'] / without:>16.3f}{row['governed']['median'] / without:>18.3f}" if without else ""
        print(f"{label.format(unit=unit):26}{cells}{ratios}")


def finish(figures, options, status=0):
    if any(figures.get("unaccounted", ())):
        print("spans and counted losses do not add up to the requests")
        status = 1
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(status)
