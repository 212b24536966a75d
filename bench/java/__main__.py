#!/usr/bin/env python3
"""What it costs to follow the references of an asynchronous Java service's objects (ADR 17): its hooks with and without `continuation`.

The service (CompletableFuture, java.net.http) calls a Go service for each request. Each run is given some seconds first, in which the agent learns.
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


def main():
    options = parser("java", __doc__).parse_args()
    figures = {}
    try:
        with Stack("bench") as stack:
            service = stack.java(stack.go().url, "TaxAsync")
            url = f"{service.url}/7"
            wrk(url, LEARNING)  # compiled by then
            for name in ("true", "false"):
                configuration = stack.directory / f"continuation-{name}.yaml"
                configuration.write_text(f"link: {{evidence: {{continuation: {name}}}}}\n")
                with Tracing(stack, "on", "--config", str(configuration)) as tracing:
                    wrk(url, LEARNING)
                    rows = hook_costs(tracing, lambda: wrk(url, options.seconds)["ops"])
                counters = tracing.agent.counters()
                links = counters.get("correlator.links.continuation", 0)
                print(f"\ncontinuation: {name}, {links} links by it, looks at objects {counters['capture.java.looks_us'] / 1e6:.2f} s", end="")
                print_hooks(rows)
                figures[name] = {"hooks": rows, "links": links, "looks_us": counters["capture.java.looks_us"]}
    except NotHere as absent:
        print(f"bench/java is left out: {absent} is not installed")
    finish(figures, options)


if __name__ == "__main__":
    main()
