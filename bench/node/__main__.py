#!/usr/bin/env python3
"""A Node HTTP server under wrk, and under h2load at half that rate."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.compare import compare, finish, parser
from common.loads import h2load, wrk
from harness.stack import NotHere, Stack


def main():
    options = parser("node", __doc__).parse_args()
    try:
        with Stack("bench") as stack:
            service = stack.node()
            finish(compare("Node http", "request", stack, lambda seconds: wrk(service.url, seconds or options.seconds), options,
                           lambda rate: h2load(service.url, options.seconds, rate)), options)
    except NotHere as absent:
        print(f"bench/node is left out: {absent} is not installed")


if __name__ == "__main__":
    main()
