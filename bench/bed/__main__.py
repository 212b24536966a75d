#!/usr/bin/env python3
"""What the BPF programs take of a request of the accuracy bed's services (tests/accuracy/README.md), by default of those whose work
goes through queues that are probed: Go's channels, Python's queues, tokio's tasks. A program's breakpoint costs as much again and more (docs/cost.md,
"A breakpoint"). The load is run once before, in which the agent learns."""

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests/accuracy")]

from bed.agent import Agent
from bed.case import REQUESTS, SPANS, Case, Load, Runner
from bed.cli import find_agent, select
from bed.setup import Missing, Toolchains
from common.compare import finish, parser
from common.hooks import hook_costs, print_hooks
from harness.agent import bpf_objects

DEFAULT = ("go_workers:idle", "go_select:idle", "python_queue:idle", "python_executor:idle", "rust_tokio")


class Hooks(Runner):
    """Runs a case's load twice, and measures the second."""

    @contextmanager
    def _watched(self, group, folder):
        with self.agent.trace(group, folder / SPANS, folder / "agent.log") as agent:
            self.pid = agent.pid
            yield

    def _generate(self, go, case, port, folder):
        super()._generate(go, case, port, folder)

        def load():
            (folder / REQUESTS).unlink()
            Runner._generate(self, go, case, port, folder)
            return self.load.requests

        self.rows = hook_costs(bpf_objects(self.pid)[0]["prog"], load)


def main():
    options = parser("bed", __doc__)
    options.add_argument("kinds", nargs="*", metavar="KIND[:VARIANT]", help=f"default: {' '.join(DEFAULT)}")
    options.add_argument("--requests", type=int, default=2000)
    options.add_argument("--concurrency", type=int, default=16)
    options = options.parse_args()
    runner = Hooks(Toolchains(ROOT / "build/accuracy"), Agent(find_agent(None)), "trace", Load(options.requests))
    figures = {}
    for kind, variant in select(options.kinds or DEFAULT):
        case = Case(kind, variant, options.concurrency)
        try:
            kind.setup(runner.tools)
        except Missing as absent:
            print(f"{case.name} is left out: {absent}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            runner.run(case, Path(folder) / case.name)
        print(f"\n{case.name}", end="")
        print_hooks(runner.rows)
        figures[case.name] = runner.rows
    finish(figures, options)


if __name__ == "__main__":
    main()
