#!/usr/bin/env python3
"""Redis under redis-benchmark, one command a round trip and sixteen: what watching costs where the protocol is not read."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.compare import compare, finish, parser
from common.loads import redis_benchmark
from harness.stack import NotHere, Stack, free_port, need


def main():
    made = parser("redis", __doc__)
    made.add_argument("--requests", type=int, default=400_000, help="of each command, without pipelining; eight times as many with: ten seconds of either")
    options = made.parse_args()
    figures = {}
    try:
        with Stack("bench") as stack:
            port = free_port()
            stack.start("redis", [need("redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], ("127.0.0.1", port))
            for pipeline in (1, 16):
                requests = options.requests * (8 if pipeline > 1 else 1)
                figures[f"P{pipeline}"] = compare(f"Redis, redis-benchmark -P {pipeline}", "command", stack,
                                                  lambda seconds: redis_benchmark(port, requests // 20 if seconds else requests, pipeline), options)
    except NotHere as absent:
        print(f"bench/redis is left out: {absent} is not installed")
    finish(figures, options)


if __name__ == "__main__":
    main()
