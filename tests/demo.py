#!/usr/bin/env python3
"""sudo ./dev demo: one request through nginx, Flask, Go, Node and Java, none of which knows it is traced.

Every service is a few plain lines in tests/services. A runtime this machine lacks is left out and the chain joins
around it. All of it runs in a cgroup of its own on loopback, and all of it is stopped at the end, whatever happens.
"""

import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness.agent import BINARY, Agent, wirespan
from harness.sink import OtlpSink
from harness.stack import NotHere, Stack

REQUESTS = 3


def say(text=""):
    print(text, flush=True)


def start_chain(stack):
    """Last service first, since each needs the address of the next. Returns (entry url, names in order, left out)."""
    next_url, chain, missing = "", [], []
    for name, start in (("Java", stack.java), ("Node", stack.node), ("Go", stack.go), ("Flask", stack.flask)):
        try:
            service = start(next_url)
        except NotHere as absent:
            missing.append(f"{name} ({absent} is not installed)")
            continue
        next_url = service.url
        chain.insert(0, name)
    if not chain:
        raise NotHere("none of Flask, Go, Node and Java")
    authority, _, path = next_url.removeprefix("http://").partition("/")
    nginx = stack.nginx(authority)
    return f"{nginx.url}/{path}", ["nginx", *chain], missing


def demo():
    with Stack("demo") as stack:
        say("starting plain services, none of them instrumented ...")
        entry, chain, missing = start_chain(stack)
        say(f"  {' -> '.join(chain)}")
        for absent in missing:
            say(f"  left out: {absent}")

        sink = OtlpSink.start(stack.directory)
        if sink is None:
            say("  left out: the OTLP receiver (its Python packages are not installed)")
        try:
            selectors = stack.selectors()
            say(f"\nwirespan trace {' '.join(selectors)} --console --json spans.jsonl" + (f" --otlp {sink.url}" if sink else ""))
            arguments = ["--console"] + (["--otlp", sink.url] if sink else [])
            with Agent(stack.directory, selectors, *arguments, stdout=sys.stdout) as agent:
                for number in range(1, REQUESTS + 1):
                    with urllib.request.urlopen(f"{entry}/{number}", timeout=60) as reply:
                        say(f"GET {entry}/{number}  ->  {reply.read().decode().strip()}")
                    # Apart, as a person would click: a trace is printed when it has been quiet for a moment.
                    time.sleep(0.2)
                status = agent.stop()
            spans = agent.spans()
            say(report(spans, len(chain), sink))
            if status != 0:
                say(f"\nthe agent ended with status {status}:\n{agent.stderr()}")
                return 1
            return 0 if whole(spans, len(chain)) and (sink is None or sink.wait_for(len(spans))) else 1
        finally:
            if sink:
                sink.stop()


def whole(spans, services):
    """One trace per request, each with a SERVER span per service and a CLIENT span per hop, one root."""
    traces = {}
    for span in spans:
        traces.setdefault(span.trace, []).append(span)
    return len(traces) == REQUESTS and all(
        len(trace) == 2 * services - 1 and sum(not span.parent for span in trace) == 1 for trace in traces.values())


def report(spans, services, sink):
    lines = [f"\n{len(spans)} spans in {len({span.trace for span in spans})} traces "
             f"({REQUESTS} requests through {services} services: {REQUESTS * (2 * services - 1)} expected)"]
    if sink:
        arrived = sink.wait_for(len(spans))
        lines.append(f"{arrived if arrived else len(sink.spans())} of them arrived at a strict OTLP receiver ({sink.url})")
    return "\n".join(lines)


def main():
    if not BINARY.exists():
        sys.exit(f"{BINARY} is not there: ./dev build")
    doctor = wirespan("doctor")
    if doctor.returncode != 0:
        say(doctor.stdout + doctor.stderr)
        sys.exit("demo: this machine cannot trace yet; wirespan doctor says above what is missing and what to do")
    # As an exception, so that every `with` above stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(demo())
    except NotHere as absent:
        sys.exit(f"demo: {absent} is not installed; install it and run this again")
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, TimeoutError, subprocess.TimeoutExpired) as error:
        sys.exit(f"demo: {error}")


if __name__ == "__main__":
    main()
