"""The agent under test, used only as a user would: its command line, its files."""
import re
import signal
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

from bed.processes import BedError, dies_with_us, stop, tail


class Agent:
    def __init__(self, binary: Path, config: Path | None = None):
        self.binary = binary
        self.config = config

    def _options(self):
        return ["--config", self.config] if self.config else []

    @contextmanager
    def trace(self, cgroup: Path, spans: Path, log: Path):
        """Traces a cgroup for as long as the block lasts; the file is whole after it."""
        with self._running(["trace", "--cgroup", cgroup, "--json", spans, *self._options()], log) as process:
            yield process

    @contextmanager
    def record(self, cgroup: Path, events: Path, log: Path):
        with self._running(["record", "--cgroup", cgroup, "-o", events, *self._options()], log):
            yield

    def replay(self, events: Path, spans: Path, log: Path):
        command = dies_with_us([self.binary, "replay", events, "--json", spans, *self._options()])
        with open(log, "wb") as out:
            status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
        if status != 0:
            raise BedError(f"wirespan replay ended with status {status}:\n{tail(log)}")

    def degrade(self, events: Path, worse: Path, percent: float):
        """A copy of a recording that lacks so many of its events."""
        tool = self.binary.parent / "wirespan-degrade"
        done = subprocess.run(dies_with_us([tool, events, worse, str(percent)]), capture_output=True, text=True)
        if done.returncode != 0:
            raise BedError(f"{tool.name} failed:\n{done.stderr}")

    @contextmanager
    def _running(self, arguments, log: Path):
        process = subprocess.Popen(dies_with_us([self.binary, *arguments]), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = _Said()
        reader = threading.Thread(target=said.copy, args=(process.stderr, log), daemon=True)
        reader.start()
        try:
            if not said.ready_within(60):
                raise BedError(f"wirespan {arguments[0]} did not get ready:\n{tail(log)}")
            yield process
            if process.poll() is not None:
                raise BedError(f"wirespan ended by itself with status {process.returncode}:\n{tail(log)}")
        finally:
            stop(process, signal.SIGINT, within=60)
            reader.join(5)
        if process.returncode != 0:
            raise BedError(f"wirespan ended with status {process.returncode}:\n{tail(log)}")


def lost(log: Path) -> dict:
    """{counter: value} of what the agent said at its end that it lost or dropped."""
    text = log.read_text(errors="replace") if log.exists() else ""
    counters = re.findall(r"^\s*(\S+)\s+([1-9]\d*)\s*$", text, re.M)
    return {name: int(n) for name, n in counters if {"lost", "dropped"} & set(name.split("."))}


class _Said:
    """What the agent says on stderr: kept in a file, searched for the word that it is ready."""

    def __init__(self):
        self._changed = threading.Event()
        self._ready = False

    def ready_within(self, seconds) -> bool:
        self._changed.wait(seconds)
        return self._ready

    def copy(self, stream, log: Path):
        with open(log, "wb") as out:
            for line in stream:
                out.write(line)
                out.flush()
                if re.search(rb"\bready\b", line):
                    self._ready = True
                    self._changed.set()
        self._changed.set()  # it has ended: no use in waiting
