#!/usr/bin/env python3
"""What it costs to read a Java service's objects: its hooks with and without the evidence that does.

`continuation` follows the references of an asynchronous service's (CompletableFuture, java.net.http; ADR 17), `waits` those of one whose threads
wait for java.net.http (three calls a request), `future` reads the stacks of one that has a pool make its calls (two a request; ADR 22). Each calls a
Go service. Each run is given some seconds first, in which the agent learns.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.compare import finish, parser
from common.hooks import hook_costs, print_hooks
from common.loads import wrk
from common.measure import Tracing
from harness.stack import NotHere, Stack

LEARNING = 5  # seconds
# Part: evidence and service.
PARTS = {"continuation": ("continuation", "TaxAsync"), "waits": ("continuation", "TaxSend"), "future": ("future", "TaxPool")}


def measure(stack, part, seconds):
    evidence, name = PARTS[part]
    service = stack.java(stack.go().url, name)
    url = f"{service.url}/7"
    wrk(url, LEARNING)  # compiled by then
    figures = {}
    for on in ("true", "false"):
        configuration = stack.directory / f"{part}-{on}.yaml"
        configuration.write_text(f"link: {{evidence: {{{evidence}: {on}}}}}\n")
        with Tracing(stack, "on", "--config", str(configuration)) as tracing:
            wrk(url, LEARNING)
            rows = hook_costs(tracing.agent.bpf_objects()[0]["prog"], lambda: wrk(url, seconds)["ops"])
        counters = tracing.agent.counters()
        links = counters.get(f"correlator.links.{evidence}", 0)
        print(f"\n{part}: {on}, {links} links by it, looks at objects {counters['capture.java.looks_us'] / 1e6:.2f} s", end="")
        print_hooks(rows)
        figures[on] = {"hooks": rows, "links": links, "looks_us": counters["capture.java.looks_us"]}
    return figures


def main():
    options = parser("java", __doc__).parse_args()
    figures = {}
    try:
        for part in PARTS:
            with Stack("bench") as stack:
                figures[part] = measure(stack, part, options.seconds)
    except NotHere as absent:
        print(f"bench/java is left out: {absent} is not installed")
    finish(figures, options)


if __name__ == "__main__":
    main()
