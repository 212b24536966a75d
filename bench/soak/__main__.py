#!/usr/bin/env python3
"""Mixed load for long, with processes that come and go, a collector that does too and a wall clock that steps: memory and descriptors stay as they were.

Compares the second half with the first, after a warm-up of a tenth and at least 90 s: exit status 1 if memory or descriptors grew more than 5 % or
load or agent ended. `./dev bench soak -- --minutes 60` is the whole one.
"""

import argparse
import json
import mmap
import statistics
import struct
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import measure  # noqa: F401  (finds the harness)
from harness.agent import Agent
from harness.load import drive
from harness.stack import NotHere, Stack, free_port

WARM_UP_SECONDS = 90

CHURN = """
import socket, subprocess, sys, time
port, pause = int(sys.argv[1]), float(sys.argv[2])
own = socket.create_server(("127.0.0.1", int(sys.argv[3])))
while True:
    subprocess.Popen(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port} 2>/dev/null; true"]).wait()
    time.sleep(pause)
"""


class Collector:
    """Takes OTLP over HTTP; can be away."""

    def __init__(self):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.handler, self.port, self.server = Handler, free_port(), None

    def up(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), self.handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def down(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class Clock:
    """The wall clock as the agent sees it (clock_steps.c): steps an hour forward, and back."""

    def __init__(self, directory):
        library, self.offset = Path(directory) / "clock_steps.so", Path(directory) / "clock_offset"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, Path(__file__).with_name("clock_steps.c"), "-ldl"], check=True)
        self.offset.write_bytes(struct.pack("q", 0))
        with self.offset.open("r+b") as file:
            self.mapped = mmap.mmap(file.fileno(), 8)
        self.steps = 0
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_STEPS": str(self.offset)}

    def step(self):
        self.steps += 1
        self.mapped[:] = struct.pack("q", 3600 * (self.steps % 2))


def look(agent):
    """RssAnon is what the agent allocated; the rest are its code and the ring it shares with the kernel."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{agent.pid}/status").read_text().splitlines() if ":" in line)
    return {"rss_kib": agent.resident_kib(), "anonymous_kib": int(status["RssAnon"].split()[0]),
            "descriptors": len(list(Path(f"/proc/{agent.pid}/fd").iterdir())), "cpu_s": agent.cpu_seconds()}


def load(urls, rate, stopping, sent):
    began = time.monotonic()
    while not stopping.is_set():
        for service in urls:
            drive(service, 20, 2)
            sent[0] += 20
        if rate:
            stopping.wait(max(0.0, sent[0] / rate - (time.monotonic() - began)))


def main():
    made = argparse.ArgumentParser(prog="bench/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--minutes", type=float, default=3)
    made.add_argument("--rate", type=float, default=0, help="requests a second; 0: as many as there is time for")
    made.add_argument("--churn", type=int, default=1000, help="short-lived processes a minute")
    made.add_argument("--outage", type=float, default=15, help="seconds the collector is away, as long as it is there")
    made.add_argument("--clock-steps", type=float, default=40, help="seconds from one step of the wall clock to the next, an hour forward and back in turn")
    made.add_argument("--json", metavar="FILE")
    options = made.parse_args()
    collector, samples, sent, stopping = Collector(), [], [0], threading.Event()
    with Stack("soak") as stack:
        ledger = stack.ledger()
        services = [ledger]
        for make in (stack.go, stack.node):
            try:
                services.append(make(ledger.url))
            except NotHere as absent:
                print(f"soak without {absent}")
        churn_port = free_port()
        stack.start("churn", [sys.executable, "-c", CHURN, ledger.port, 60 / options.churn, churn_port], ("127.0.0.1", churn_port))
        collector.up()
        clock = Clock(stack.directory)
        with Agent(stack.directory, stack.selectors(), "--otlp", f"http://127.0.0.1:{collector.port}", command="run", json=False, env=clock.environment) as agent:
            driver = threading.Thread(target=load, args=(services, options.rate, stopping, sent), daemon=True)
            driver.start()
            began = turned = stepped = time.monotonic()
            while time.monotonic() - began < options.minutes * 60:
                time.sleep(1)
                assert agent.process.poll() is None, agent.stderr()
                assert driver.is_alive(), "the load ended"
                samples.append(look(agent))
                if time.monotonic() - stepped > options.clock_steps:
                    stepped = time.monotonic()
                    clock.step()
                if time.monotonic() - turned > options.outage:
                    turned = time.monotonic()
                    collector.down() if collector.server else collector.up()
            stopping.set()
            driver.join(60)
            if not collector.server:
                collector.up()
        collector.down()
    counted = agent.counters()
    # An ended process is remembered for 60 s (agent/enrich/process_table.h), an outage fills the backlog: until both have
    # come round once, memory can only grow.
    samples = samples[min(max(len(samples) // 10, WARM_UP_SECONDS), len(samples) // 2):]
    halves = samples[:len(samples) // 2], samples[len(samples) // 2:]
    figures = {"minutes": options.minutes, "requests": sent[0], "clock_steps": clock.steps, "processes_seen": counted.get("capture.processes"),
               "spans": counted["exporters.spans.accepted"], "sent": counted.get("exporters.otlp.spans.sent"),
               "lost": {k: v for k, v in counted.items() if ".lost." in k and v},
               "governor": {k: v for k, v in counted.items() if k.startswith("governor.") and v}}
    grew = {}
    for key in ("rss_kib", "anonymous_kib", "descriptors"):
        first, second = (statistics.median(s[key] for s in half) for half in halves)
        figures[key] = {"first_half": first, "second_half": second, "most": max(s[key] for s in samples)}
        grew[key] = second / first - 1
    step = max(1, len(samples) // 30)
    figures["course_rss_kib"] = [round(statistics.median(s["rss_kib"] for s in samples[i:i + step])) for i in range(0, len(samples), step)]
    figures["cpu_cores"] = (samples[-1]["cpu_s"] - samples[0]["cpu_s"]) / max(len(samples) - 1, 1)
    print(json.dumps(figures, indent=1))
    print("grew: " + ", ".join(f"{key} {value:+.1%}" for key, value in grew.items()))
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if any(value > 0.05 for value in grew.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
