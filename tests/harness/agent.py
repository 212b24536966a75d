"""Runs the agent as a user would: selectors in, `ready` on stderr, SIGINT at the end, spans out of --json."""

import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from .spans import read_spans
from .stack import ROOT, wait_until

BINARY = Path(os.environ.get("WIRESPAN", ROOT / "build/release/wirespan"))


def wirespan(*arguments):
    """One run to its end; subprocess.CompletedProcess with text."""
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)


NOBODY = 65534


def copy_for_nobody(directory):
    """The binary where others can run it: the build may lie in a home nobody else can enter."""
    return shutil.copy(BINARY, Path(directory) / "wirespan")


def as_nobody(capabilities=()):
    """Prefix of a command that then runs as another user, with these capabilities ("bpf", ...) and no others."""
    sets = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    return ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", f"--bounding-set={sets}",
            f"--inh-caps={sets}", f"--ambient-caps={sets}"]


def wirespan_as_nobody(directory, *arguments):
    """One run without any right."""
    command = [*as_nobody(), copy_for_nobody(directory), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def bpf_objects(pid):
    """Ids of what the agent holds in the kernel: {"prog": {..}, "map": {..}, "link": {..}}, and locked map bytes."""
    ids = {"prog": set(), "map": set(), "link": set()}
    locked = 0
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            fields = dict(line.split(":\t", 1) for line in info.read_text().splitlines() if ":\t" in line)
        except OSError:
            continue
        if "map_id" in fields:
            if fields["map_id"] not in ids["map"]:
                locked += int(fields.get("memlock", 0))
            ids["map"].add(fields["map_id"])
        elif "link_id" in fields:
            ids["link"].add(fields["link_id"])
        elif "prog_id" in fields:
            ids["prog"].add(fields["prog_id"])
    return {kind: {int(i) for i in found} for kind, found in ids.items()}, locked


class Agent:
    """Context manager around `wirespan COMMAND ...`. Leaving it stops the agent, also after a failure."""

    def __init__(self, directory, selectors, *arguments, command="trace", json=True, env=None, stdout=None, run_as=(), binary=BINARY):
        self.json_file = Path(directory) / f"spans-{id(self):x}.jsonl" if json else None
        line = [*run_as, str(binary), command, *map(str, selectors), *map(str, arguments)]
        if self.json_file:
            line += ["--json", str(self.json_file)]
        self.errors = []
        self.process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=stdout or subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace", env={**os.environ, **(env or {})})
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.rstrip("\n"))

    def __enter__(self):
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, failure, *_):
        self.stop()
        # A call that its own filter does not know is a mistake of ours, whatever the test is about.
        refused = [line for line in self.errors if "self.sandbox refused" in line]
        assert failure or not refused, refused

    def stderr(self):
        return "\n".join(self.errors)

    def wait_ready(self):
        def ready():
            if any(re.search(r"\bready\b", line) for line in list(self.errors)):
                return True
            if self.process.poll() is not None:
                self._reader.join(5)
                raise RuntimeError(f"the agent ended with status {self.process.returncode}:\n{self.stderr()}")
            return False

        wait_until(ready, "the agent to be ready")

    def stop(self, sig=signal.SIGINT, seconds=60):
        """Status after an orderly stop; the last span is out by then."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self._reader.join(5)
        return self.process.returncode

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(5)

    def spans(self):
        return read_spans(self.json_file)

    def counters(self):
        """The counters printed on exit, name -> value."""
        found = {}
        for line in self.errors:
            if match := re.match(r"\s*([a-z0-9_]+(?:\.[a-z0-9_]+)+)\s*[:=]?\s+(\d+)\s*$", line):
                found[match[1]] = int(match[2])
        return found

    def resident_kib(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def bpf_objects(self):
        return bpf_objects(self.pid)
