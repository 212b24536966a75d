#!/usr/bin/env python3
"""What it costs to watch many processes that do nothing: start-up to `ready`, peak memory at start, CPU after it.

The targets are forked from one process: each has a listening socket and waits in accept, selected by cgroup and once more by the ports.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.measure import on_cpu_seconds
from harness.agent import Agent
from harness.stack import Stack, free_port

TARGETS = """
import os, signal, socket, sys, time
count, first = int(sys.argv[1]), int(sys.argv[2])
parent = os.getpid()
for _ in range(count - 1):
    if os.fork() == 0:
        own = socket.create_server(("127.0.0.1", 0))
        while True:
            own.accept()
main = socket.create_server(("127.0.0.1", first))
while True:
    main.accept()[0].close()
"""


def one_round(stack, selectors, settle, seconds):
    began = time.monotonic()
    with Agent(stack.directory, selectors, "--json", "/dev/null", json=False) as agent:
        ready = time.monotonic() - began
        time.sleep(settle)
        before = on_cpu_seconds(agent.pid)
        time.sleep(seconds)
        cores = (on_cpu_seconds(agent.pid) - before) / seconds
        rss = agent.resident_kib() / 1024
        _, locked = agent.bpf_objects()
    counted = agent.counters()
    tracing = next(line for line in agent.errors if line.startswith("ready"))
    return {"ready_s": ready, "targets": int(tracing.split()[2]), "idle_cores": cores, "rss_mb": rss, "peak_rss_mb": counted["self.max_rss_kib"] / 1024,
            "maps_mb": locked / 2**20}


def main():
    made = argparse.ArgumentParser(prog="bench/idle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--settle", type=float, default=1, help="seconds after ready that do not count: what was found at start is looked at, the last time after 30 s")
    made.add_argument("--seconds", type=int, default=10)
    made.add_argument("--processes", type=int, default=1000)
    made.add_argument("--json", metavar="FILE")
    options = made.parse_args()
    figures = {}
    for count in (1, options.processes):
        with Stack("idle") as stack:
            port = free_port()
            stack.start("targets", [sys.executable, "-c", TARGETS, count, port], ("127.0.0.1", port))
            time.sleep(1)
            for name, selectors in (("cgroup", stack.selectors()), ("port", ["--port", port])):
                rounds = [one_round(stack, selectors, options.settle, options.seconds) for _ in range(options.rounds)]
                figures[f"{count} by {name}"] = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    print(f"{'idle processes':<16}" + "".join(f"{key:>14}" for key in next(iter(figures.values()))))
    for name, row in figures.items():
        print(f"{name:<16}" + "".join(f"{value:>14.4g}" for value in row.values()))
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
