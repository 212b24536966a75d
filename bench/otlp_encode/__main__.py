#!/usr/bin/env python3
"""What a span costs on its way out: hand-over to the queue, encoding, compression; CPU time of one core.

bench/otlp_encode [--json FILE]
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOALS = {"protobuf": 1000}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    build = ["cmake", "--build", "--preset", "release", "--target", "bench_otlp_encode"]
    if subprocess.run(build, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        sys.exit("bench_otlp_encode does not build: ./dev build")
    figures = json.loads(subprocess.check_output([ROOT / "build/release/bench_otlp_encode"]))

    print(f"{'per span':14} {'ns':>6} {'bytes':>6}")
    for name, ns in figures["ns_per_span"].items():
        goal = f"   goal: < {GOALS[name]} ns" if name in GOALS else ""
        print(f"{name:14} {ns:6} {figures['bytes_per_span'].get(name, ''):>6}{goal}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n")
    return int(any(figures["ns_per_span"][name] >= goal for name, goal in GOALS.items()))


if __name__ == "__main__":
    sys.exit(main())
