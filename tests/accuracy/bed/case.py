"""One case: a kind of service in one variant at one concurrency, run once, and judged."""
import json
import os
import re
import shutil
import signal
import subprocess
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from bed import otlp, processes, score, synthetic, truth
from bed.agent import Agent
from bed.kinds import Kind, Start, Variant
from bed.processes import BedError
from bed.setup import Toolchains

REQUESTS, CALLS, EVENTS, SPANS, META = "requests.tsv", "calls.tsv", "events.rec", "spans.jsonl", "case.json"
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Case:
    kind: Kind
    variant: Variant
    concurrency: int

    @property
    def name(self):
        return "-".join(filter(None, (self.kind.name, self.variant.name, str(self.concurrency))))


@dataclass
class Load:
    requests: int
    think_ms: float = 0.0
    delay_ms: float = 2.0
    seed: int = 1
    background_ms: int = 0
    pauses: bool = True


class Runner:
    """Drives a case. how: "trace", "record" (events only) or "none" (no agent: are the services right?)."""

    def __init__(self, tools: Toolchains, agent: Agent | None, how: str, load: Load):
        self.tools, self.agent, self.how, self.load = tools, agent, how, load

    def run(self, case: Case, folder: Path):
        """Fills folder with the logs and, with an agent, spans or events."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        go = self.tools.go()
        command = [go / "backend", "-log", folder / CALLS, "-delay", f"{self.load.delay_ms}ms"]
        backend = subprocess.Popen(processes.dies_with_us(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   text=True)
        try:
            backend_port = int(backend.stdout.readline())
            with processes.cgroup(case.name) as group:
                self._drive(case, folder, go, group, backend_port)
        finally:
            processes.stop(backend, signal.SIGTERM)
        if backend.returncode != 0:
            raise BedError(f"the backend ended with status {backend.returncode}")
        meta = {"kind": case.kind.name, "variant": case.variant.name, "concurrency": case.concurrency,
                **vars(self.load)}
        (folder / META).write_text(json.dumps(meta) + "\n")

    def _drive(self, case, folder, go, group, backend_port):
        port = processes.free_port()
        start = Start(case.kind.name, case.variant, self.tools, port, backend_port,
                      case.variant.workers(case.concurrency), case.variant.connections(case.concurrency), folder)
        env = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
        env |= {"PORT": str(port), "BACKEND_PORT": str(backend_port), "WORKERS": str(start.workers),
                "CONNECTIONS": str(start.connections),
                "BACKGROUND_MS": str(self.load.background_ms if case.kind.background else 0), **case.kind.env}
        service_log = folder / "service.log"
        service = processes.start_in(group, case.kind.command(start), env, service_log, folder)
        try:
            processes.wait_listening(service, port, service_log)
            with self._watched(group, folder):
                self._generate(go, case, port, folder)
            if service.poll() is not None:
                raise BedError(f"the service ended with status {service.returncode}:\n{processes.tail(service_log)}")
        finally:
            processes.stop(service, signal.SIGTERM, within=5)

    def _watched(self, group, folder):
        log = folder / "agent.log"
        if self.how == "trace":
            return self.agent.trace(group, folder / SPANS, log)
        if self.how == "record":
            return self.agent.record(group, folder / EVENTS, log)
        return nullcontext()

    def _generate(self, go, case, port, folder):
        log = folder / "generator.log"
        command = [go / "generator", "-address", f"127.0.0.1:{port}", "-concurrency", case.concurrency,
                   "-requests", self.load.requests, "-think", f"{self.load.think_ms}ms", "-seed", self.load.seed,
                   f"-pauses={str(self.load.pauses).lower()}", "-log", folder / REQUESTS]
        with open(log, "wb") as out:
            status = subprocess.run(processes.dies_with_us(command), stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=out).returncode
        if status != 0:
            raise BedError(f"the load generator ended with status {status}:\n{processes.tail(log)}")


def judge(folder: Path, planned: bool, spans_file: Path):
    """(score, complaints about the service or the agent's output)."""
    requests, calls = truth.read_requests(folder / REQUESTS), truth.read_calls(folder / CALLS)
    complaints = truth.check_services(requests, calls, planned)
    leaked = tokens_in(spans_file, requests)
    if leaked:
        complaints.append(f"the agent saw {leaked} tokens: its links prove nothing")
    return score.score(otlp.read_spans(spans_file), requests, calls), complaints


def tokens_in(spans_file: Path, requests) -> int:
    """How many tokens the agent's output contains: it must never have seen one."""
    tokens = {r.token for r in requests}
    pattern = re.compile(r"[0-9a-f]{%d}" % truth.TOKEN_SIZE)
    found = set()
    with open(spans_file) as file:
        for line in file:
            found |= tokens & set(pattern.findall(line))
    return len(found)


def case_of(folder: Path, kinds) -> Case:
    meta = json.loads((folder / META).read_text())
    kind = kinds[meta["kind"]]
    variant = next(v for v in kind.variants if v.name == meta["variant"])
    return Case(kind, variant, meta["concurrency"])


def write_perfect(folder: Path):
    """What a perfect agent would have written: without an agent, shows that service and truth agree."""
    requests, calls = truth.read_requests(folder / REQUESTS), truth.read_calls(folder / CALLS)
    synthetic.write(folder / SPANS, synthetic.perfect(requests, calls))
