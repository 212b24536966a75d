#!/usr/bin/env python3
"""nginx under wrk, with and without wirespan, in interleaved rounds so that noise hits both; medians and spread.

bench/nginx [--rounds N] [--seconds S] [--connections C] [--json FILE]
bench/nginx --requests 2000000      one long traced run instead: losses, span count and memory over time

nginx answers a small page itself on keep-alive connections: the worst case, since nothing but the traced system calls
happens. Both cores are saturated by nginx, wrk and, where it runs, the agent. Spans are encoded as OTLP/JSON and written
to /dev/null, so that no receiver competes for the cores.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from harness.agent import Agent
from harness.stack import NotHere, Stack, need

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
PAGE = 'location / { return 200 "hello from nginx, a small page\\n"; } location = /status { stub_status; }'


def wrk(url, seconds, connections, threads=2):
    output = subprocess.run([need("wrk"), "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s", "--latency", url],
                            capture_output=True, text=True, check=True).stdout
    latency = {f"p{p}": float(v) * UNITS[u] for p, v, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s|m)\b", output)}
    errors = re.search(r"Socket errors: (.*)", output)
    return {"rps": float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]), **latency, "errors": errors[1] if errors else ""}


def requests_served(nginx):
    """Exact, nginx's own count; the asking request is in it."""
    with urllib.request.urlopen(f"{nginx.url}/status", timeout=10) as reply:
        return int(reply.read().split(b"\n")[2].split()[2])


def busy_seconds():
    """CPU time of the whole host, idle and waiting excluded."""
    fields = [int(f) for f in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def lost(counters):
    """Events and spans; bytes are counted apart by the agent."""
    return {name: value for name, value in counters.items() if value and re.search(r"\b(lost|dropped)\b", name) and not name.endswith("bytes")}


class Tracing:
    """A round's agent, or nothing; what it cost is in .figures after the round."""

    def __init__(self, stack, on):
        self.agent = Agent(stack.directory, stack.selectors(), "--json", "/dev/null", json=False) if on else None
        self.figures = {}

    def __enter__(self):
        if self.agent:
            self.agent.wait_ready()
        return self

    def sample(self):
        if self.agent:
            _, locked = self.agent.bpf_objects()
            self.figures = {"agent_cpu": self.agent.cpu_seconds(), "rss_mb": self.agent.resident_kib() / 1024, "maps_mb": locked / 2**20}

    def __exit__(self, *_):
        if self.agent:
            self.agent.stop()
            self.figures["counters"] = self.agent.counters()


def one_round(stack, nginx, on, options):
    with Tracing(stack, on) as tracing:
        wrk(nginx.url, 1, options.connections)  # connections, caches and the agent's tables are warm
        tracing.sample()
        cpu_before = tracing.figures.get("agent_cpu", 0)
        busy, served, began = busy_seconds(), requests_served(nginx), time.monotonic()
        result = wrk(nginx.url, options.seconds, options.connections)
        seconds = time.monotonic() - began
        served = requests_served(nginx) - served
        result["host_cpu_us"] = (busy_seconds() - busy) / served * 1e6
        result["requests"] = served
        tracing.sample()
        result["agent_cpu_us"] = (tracing.figures.get("agent_cpu", 0) - cpu_before) / served * 1e6
        result["agent_cores"] = (tracing.figures.get("agent_cpu", 0) - cpu_before) / seconds
    result.update(tracing.figures)
    return result


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def compare(stack, nginx, options):
    rounds = {False: [], True: []}
    for number in range(options.rounds):
        # ABBA: a drift of the machine over time does not favour one side.
        for on in (False, True) if number % 2 == 0 else (True, False):
            rounds[on].append(one_round(stack, nginx, on, options))
    figures = {}
    for key in ("rps", "p50", "p99", "host_cpu_us"):
        without, with_ = (spread([r[key] for r in rounds[on]]) for on in (False, True))
        figures[key] = {"without": without, "with": with_, "ratio": with_["median"] / without["median"]}
    for key in ("agent_cpu_us", "agent_cores", "rss_mb", "maps_mb"):
        figures[key] = {"with": spread([r[key] for r in rounds[True]])}
    figures["lost"] = {name: value for r in rounds[True] for name, value in lost(r["counters"]).items()}

    print(f"\nnginx, wrk -t2 -c{options.connections}, {options.rounds} rounds of {options.seconds} s each way, {os.cpu_count()} cores")
    print(f"{'':28}{'without':>30}{'with wirespan':>30}{'ratio':>9}")
    for key, label in (("rps", "requests/s"), ("p50", "p50, ms"), ("p99", "p99, ms"), ("host_cpu_us", "host CPU us/request")):
        row = figures[key]
        print(f"{label:28}{cell(row['without']):>30}{cell(row['with']):>30}{row['ratio']:>9.3f}")
    for key, label in (("agent_cpu_us", "agent CPU us/request"), ("agent_cores", "agent CPU cores"), ("rss_mb", "agent RSS MB"), ("maps_mb", "locked maps MB")):
        print(f"{label:28}{'':30}{cell(figures[key]['with']):>30}")
    print(f"{'throughput lost':28}{(1 - figures['rps']['ratio']) * 100:>59.1f} %")
    print(f"{'lost events':28}{figures['lost'] or 'none'!s:>60}")
    return figures


def cell(value):
    return f"{value['median']:.4g} ({value['min']:.4g}..{value['max']:.4g})"


def long_run(stack, nginx, options):
    """Spans must equal requests less counted losses; memory over ten samples."""
    samples = []
    agent = Agent(stack.directory, stack.selectors(), "--json", "/dev/null", json=False)
    with agent:
        before = requests_served(nginx)
        done, began = 0, time.monotonic()
        while done < options.requests:
            wrk(nginx.url, 5, options.connections)
            done = requests_served(nginx) - before
            _, locked = agent.bpf_objects()
            samples.append({"requests": done, "rss_mb": round(agent.resident_kib() / 1024, 1), "maps_mb": round(locked / 2**20, 1)})
            print(f"{done:>10} requests  {done / (time.monotonic() - began):>8.0f}/s  RSS {samples[-1]['rss_mb']} MB  maps {samples[-1]['maps_mb']} MB", flush=True)
        cpu = agent.cpu_seconds()
        agent.stop()
    counters = agent.counters()
    # The first status request is counted by nginx before it is answered, so it is in `before` and traced too.
    expected = done + 1
    spans = sum(value for name, value in counters.items() if name in options.span_counters)
    figures = {"requests": expected, "spans": spans, "lost": lost(counters), "agent_cpu_us": cpu / done * 1e6, "samples": samples, "counters": counters}
    print(f"\nrequests {expected}, spans {spans}, difference {expected - spans}, lost {figures['lost'] or 'none'}, "
          f"agent CPU {figures['agent_cpu_us']:.2f} us/request")
    return figures


def hook_costs(stack, nginx, options):
    """ns per run of each program, from the kernel's run-time statistics; they cost something themselves, so apart."""
    switch = Path("/proc/sys/kernel/bpf_stats_enabled")
    was = switch.read_text()
    try:
        with Tracing(stack, True) as tracing:
            ids = tracing.agent.bpf_objects()[0]["prog"]
            switch.write_text("1")
            served = requests_served(nginx)
            wrk(nginx.url, options.seconds, options.connections)
            served = requests_served(nginx) - served
            listed = json.loads(subprocess.run([need("bpftool"), "-j", "prog", "show"], capture_output=True, check=True, text=True).stdout)
    finally:
        switch.write_text(was)
    rows = [{"name": p["name"], "type": p["type"], "runs_per_request": p["run_cnt"] / served, "ns_per_run": p["run_time_ns"] / p["run_cnt"]}
            for p in listed if p["id"] in ids and p.get("run_cnt")]
    rows.sort(key=lambda row: -row["runs_per_request"] * row["ns_per_run"])
    print(f"\n{'BPF program':28}{'type':>16}{'runs/request':>16}{'ns/run':>10}{'us/request':>12}")
    for row in rows:
        print(f"{row['name']:28}{row['type']:>16}{row['runs_per_request']:>16.2f}{row['ns_per_run']:>10.0f}{row['runs_per_request'] * row['ns_per_run'] / 1000:>12.3f}")
    return rows


def main():
    parser = argparse.ArgumentParser(prog="bench/nginx", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--requests", type=int, help="one traced run until so many were served")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    options.span_counters = ("exporters.spans.accepted",)
    try:
        with Stack("bench") as stack:
            nginx = stack.nginx("", workers=2, extra=PAGE)
            if options.requests:
                figures = long_run(stack, nginx, options)
            else:
                figures = compare(stack, nginx, options)
                figures["hooks"] = hook_costs(stack, nginx, options)
    except NotHere as absent:
        sys.exit(f"bench/nginx: {absent} is not installed: sudo ./dev setup bench demo")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    # A lost event costs a request its span at most.
    if options.requests and not 0 <= figures["requests"] - figures["spans"] <= sum(figures["lost"].values()):
        sys.exit("bench/nginx: spans and counted losses do not add up to the requests")


if __name__ == "__main__":
    main()
