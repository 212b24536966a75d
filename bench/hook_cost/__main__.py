#!/usr/bin/env python3
"""What one system call costs, ns, of a process that is traced and of its untraced neighbour, against no agent at all.
The least of many batches: a noisy machine only ever adds. getppid is what every system call of the host pays."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.compare import finish, parser
from harness.agent import Agent
from harness.stack import NotHere, need

HERE = Path(__file__).resolve().parent


def figures_of(text):
    return {name: float(ns) for name, ns in re.findall(r"(\w+)=([\d.]+)", text)}


def least(rounds):
    return {name: min(r[name] for r in rounds) for name in rounds[0]}


def main():
    options = parser("hook_cost", __doc__).parse_args()
    rounds = {"alone": [], "neighbour": [], "traced": []}
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory) / "hook_cost"
        try:
            subprocess.run([need("c++"), "-O2", "-std=c++20", "-o", program, HERE / "hook_cost.cc"], check=True)
        except NotHere as absent:
            sys.exit(f"bench/hook_cost: {absent} is not installed: sudo ./dev setup build")
        run = lambda: figures_of(subprocess.run([program], capture_output=True, text=True, check=True).stdout)
        for _ in range(options.rounds):
            rounds["alone"].append(run())
            target = subprocess.Popen([program, "--wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                with Agent(directory, ["--pid", str(target.pid)], "--json", "/dev/null", json=False):
                    rounds["neighbour"].append(run())
                    rounds["traced"].append(figures_of(target.communicate("go\n")[0]))
            finally:
                target.kill()
                target.wait()
    figures = {mode: least(of) for mode, of in rounds.items()}
    print(f"\n{'ns a call':16}{'no agent':>10}{'neighbour':>11}{'tax':>8}{'traced':>10}{'price':>8}")
    for name, alone in figures["alone"].items():
        neighbour, traced = figures["neighbour"][name], figures["traced"][name]
        print(f"{name:16}{alone:>10.0f}{neighbour:>11.0f}{neighbour - alone:>8.0f}{traced:>10.0f}{traced - alone:>8.0f}")
    finish(figures, options)


if __name__ == "__main__":
    main()
