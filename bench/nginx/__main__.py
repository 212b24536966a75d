#!/usr/bin/env python3
"""nginx answering a small page itself on keep-alive connections: the worst case, since nothing but traced system calls
happens. Spans are encoded as OTLP/JSON and written to /dev/null, so that no receiver competes for the cores.

bench/nginx [--rounds N] [--seconds S] [--json FILE]    saturated and at half load, and what each hook costs
bench/nginx --requests 2000000      one long traced run instead: losses, span count and memory over time
bench/nginx --requests N --governed     the same with the governor on: spans and what it counted must be the requests
"""

import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.compare import compare, finish, parser
from common.hooks import hook_costs, print_hooks
from common.loads import h2load, wrk
from common.measure import Tracing, accounted, lost
from harness.stack import NotHere, Stack

PAGE = 'location / { return 200 "hello from nginx, a small page\\n"; } location = /status { stub_status; }'


def requests_served(nginx):
    """Exact, nginx's own count; the asking request is in it."""
    with urllib.request.urlopen(f"{nginx.url}/status", timeout=10) as reply:
        return int(reply.read().split(b"\n")[2].split()[2])


def long_run(stack, nginx, wanted, mode):
    """Spans must equal requests less counted losses."""
    samples = []
    with Tracing(stack, mode) as tracing:
        before = requests_served(nginx)
        done, began = 0, time.monotonic()
        while done < wanted:
            wrk(nginx.url, 5)
            done = requests_served(nginx) - before
            samples.append({"requests": done, **tracing.memory()})
            print(f"{done:>10} requests  {done / (time.monotonic() - began):>8.0f}/s  RSS {samples[-1]['rss_mb']:.1f} MB  maps {samples[-1]['maps_mb']:.1f} MB", flush=True)
        cpu = tracing.cpu_seconds()
    counters = tracing.agent.counters()
    # The first status request is counted by nginx before it is answered, so it is in `before` and traced too.
    expected, spans = done + 1, counters["exporters.spans.accepted"]
    counted = {name: value for name, value in counters.items() if name.startswith(("governor.sampled_out.requests", "governor.cut."))}
    for line in tracing.agent.errors:
        if "governor" in line and not line.startswith("governor."):
            print(line)
    figures = {"requests": expected, "spans": spans, "unaccounted": [accounted(expected, counters)], "counted": counted, "lost": lost(counters), "agent_cpu_us": cpu / done * 1e6, "samples": samples, "counters": counters}
    print(f"\nrequests {expected}, spans {spans}, counted by the governor {counted}, difference {expected - spans - sum(counted.values())}, lost {figures['lost'] or 'none'}, "
          f"agent CPU {figures['agent_cpu_us']:.2f} us/request")
    return figures


def hooks(stack, nginx, options):
    with Tracing(stack, "on") as tracing:
        rows = hook_costs(tracing.agent.bpf_objects()[0]["prog"], lambda: wrk(nginx.url, options.seconds)["ops"])
    print_hooks(rows)
    return rows


def main():
    made = parser("nginx", __doc__)
    made.add_argument("--requests", type=int, help="one traced run until so many were served")
    made.add_argument("--governed", action="store_true", help="with the governor on and its default budgets")
    options = made.parse_args()
    try:
        with Stack("bench") as stack:
            nginx = stack.nginx("", workers=2, extra=PAGE)
            if options.requests:
                figures = long_run(stack, nginx, options.requests, "governed" if options.governed else "on")
            else:
                figures = compare("nginx, wrk -t2 -c64", "request", stack, lambda seconds: wrk(nginx.url, seconds or options.seconds), options,
                                  lambda rate: h2load(nginx.url, options.seconds, rate), lambda: requests_served(nginx))
                figures["hooks"] = hooks(stack, nginx, options)
    except NotHere as absent:
        sys.exit(f"bench/nginx: {absent} is not installed: sudo ./dev setup bench demo")
    finish(figures, options)


if __name__ == "__main__":
    main()
