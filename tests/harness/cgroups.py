"""A cgroup v2 of our own: the agent selects by it, and nothing in it outlives a test."""

import os
import signal
import time
from pathlib import Path


def unified_root():
    """Mount point of cgroup v2 (/sys/fs/cgroup, or .../unified on a hybrid host), None where there is none."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.split()[0] == "cgroup2":
            return Path(left.split()[4])
    return None


class Cgroup:
    """Created below the root; everything in it is killed and it is removed on close()."""

    _count = 0

    def __init__(self, label):
        Cgroup._count += 1
        root = unified_root()
        self.path = root / f"wirespan-{label}-{os.getpid()}-{Cgroup._count}" if root else None
        if self.path:
            try:
                self.path.mkdir()
            except OSError:  # v2 mounted read-only, as in some containers: select by pid instead
                self.path = None

    def __bool__(self):
        return self.path is not None

    def enter_command(self, command):
        """The command, made to start inside the cgroup."""
        if not self:
            return list(command)
        return ["/bin/sh", "-c", f'echo $$ > "{self.path}/cgroup.procs" && exec "$@"', "sh", *command]

    def pids(self):
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()] if self else []

    def close(self):
        if not self:
            return
        kill = self.path / "cgroup.kill"
        deadline = time.monotonic() + 120  # closing 100,000 sockets on a busy machine takes a while
        while time.monotonic() < deadline:
            if kill.exists():
                kill.write_text("1")
            for pid in self.pids():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            try:
                self.path.rmdir()
                self.path = None
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.path} still has processes {self.pids()}")
