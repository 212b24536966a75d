"""CPU time of everybody involved, per operation: it tells what tracing costs also on a machine that others use."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from harness.agent import Agent


def on_cpu_seconds(pid):
    """Of a process with all its threads, in ns resolution where the kernel keeps scheduler statistics."""
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9
    except (OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def service_seconds(stack):
    """CPU time of the stack's services and their children."""
    if stack.cgroup:
        return int((stack.cgroup.path / "cpu.stat").read_text().split()[1]) / 1e6
    return sum(on_cpu_seconds(service.pid) for service in stack.services)


def client_seconds():
    """CPU time of the load generators that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Tracing:
    """A round's agent. mode "off": none; "idle": one that traces something else; "on": one that traces the stack; "governed": one that
    does with the governor on and its default budgets."""

    def __init__(self, stack, mode, *arguments):
        self.other = subprocess.Popen(["sleep", "3600"]) if mode == "idle" else None
        selectors = ["--pid", str(self.other.pid)] if self.other else stack.selectors()
        if mode == "governed":
            configuration = stack.directory / "governed.yaml"
            configuration.write_text('governor: {mode: "on"}\n')
            arguments = ("--config", str(configuration), *arguments)
        self.agent = None if mode == "off" else Agent(stack.directory, selectors, "--json", "/dev/null", *arguments, json=False)

    def __enter__(self):
        try:
            if self.agent:
                self.agent.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.agent:
            self.agent.stop()
        if self.other:
            self.other.kill()
            self.other.wait()

    def cpu_seconds(self):
        return on_cpu_seconds(self.agent.pid) if self.agent else 0.0

    def memory(self):
        """Resident and locked map MB."""
        if not self.agent:
            return {}
        return {"rss_mb": self.agent.resident_kib() / 1024, "maps_mb": self.agent.bpf_objects()[1] / 2**20}


def lost(counters):
    """Events and spans; bytes are counted apart by the agent."""
    return {name: value for name, value in counters.items()
            if value and {"lost", "dropped"} & set(name.split(".")) and not name.endswith("bytes")}


def accounted(requests, counters):
    """Requests of which there is neither a span nor a count. 0 where those missing may be what lost events cost, a span each at most."""
    governor = sum(value for name, value in counters.items() if name.startswith(("governor.sampled_out.requests", "governor.cut.")))
    missing = requests - counters["exporters.spans.accepted"] - governor
    return 0 if 0 <= missing <= sum(lost(counters).values()) else missing


def measured(stack, tracing, load):
    """Runs load() -> {"ops": n, ...} and adds what it cost, us of CPU per operation."""
    before, began = (service_seconds(stack), tracing.cpu_seconds()), time.monotonic()
    client = client_seconds()
    figures = load()
    seconds = time.monotonic() - began
    client = client_seconds() - client
    service, agent = service_seconds(stack) - before[0], tracing.cpu_seconds() - before[1]
    per_op = 1e6 / max(figures["ops"], 1)
    figures.update(service_us=service * per_op, client_us=client * per_op, agent_us=agent * per_op,
                   all_us=(service + client + agent) * per_op, agent_cores=agent / seconds)
    figures.setdefault("rate", figures["ops"] / seconds)
    return figures
