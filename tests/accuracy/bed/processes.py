"""Starting, watching and surely ending the processes of one run: nothing is left behind."""
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

CGROUP_ROOTS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
CGROUP_PREFIX = "wirespan-accuracy-"  # then the bed's pid


class BedError(Exception):
    """Something the bed needs did not work; said to the user as it is."""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_listening(port: int) -> bool:
    """Without connecting: a stray connection would be one more thing for the agent to explain."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as file:
                for line in file:
                    column = line.split()
                    if column[1].endswith(wanted) and column[3] == "0A":
                        return True
        except FileNotFoundError:
            pass
    return False


def dies_with_us(command) -> list:
    """The command line, ended by the kernel should the bed itself be killed."""
    return ["setpriv", "--pdeathsig", "KILL", *map(str, command)]


def stop(process: subprocess.Popen, number, within=20.0):
    """Signals and waits; kills what does not end."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tail(path: Path, lines=15) -> str:
    text = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(text[-lines:])


@contextmanager
def cgroup(name: str):
    """A new cgroup (v2). At the end everything in it is killed: only what the bed put there can be in it."""
    root = next((r for r in CGROUP_ROOTS if (r / "cgroup.controllers").exists()), None)
    if root is None:
        raise BedError("no cgroup v2 hierarchy at " + " or ".join(map(str, CGROUP_ROOTS)))
    _sweep(root)
    path = root / f"{CGROUP_PREFIX}{os.getpid()}-{name}"
    path.mkdir()
    try:
        yield path
    finally:
        _empty(path)
        path.rmdir()


def _sweep(root: Path):
    """Removes what a bed that was killed left behind."""
    for path in root.glob(f"{CGROUP_PREFIX}*"):
        owner = path.name.removeprefix(CGROUP_PREFIX).split("-")[0]
        if not Path("/proc", owner).exists():
            _empty(path)
            path.rmdir()


def _empty(path: Path):
    for _ in range(200):
        pids = (path / "cgroup.procs").read_text().split()
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(int(pid), 9)
            except ProcessLookupError:
                pass
        time.sleep(0.05)


def start_in(group: Path, command, env, log: Path, cwd: Path) -> subprocess.Popen:
    """Starts a command inside the cgroup from its first instruction on."""
    joined = dies_with_us(["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', group, *command])
    with open(log, "wb") as out:
        return subprocess.Popen(joined, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def wait_listening(process, port, log: Path, within=60.0):
    start = time.monotonic()
    while not is_listening(port):
        if process.poll() is not None:
            raise BedError(f"the service ended with status {process.returncode}:\n{tail(log)}")
        if time.monotonic() - start > within:
            raise BedError(f"the service does not listen on port {port} after {within:.0f} s:\n{tail(log)}")
        time.sleep(0.02)
