"""kill -9: the services go on as if nothing happened, and the kernel holds nothing of ours."""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

from harness.agent import Agent
from harness.load import Connection, drive
from harness.stack import need, wait_until


def kernel_objects():
    """Ids of every program, map and link in the kernel."""
    found = {}
    for kind in ("prog", "map", "link"):
        listed = json.loads(subprocess.run([need("bpftool"), "-j", kind, "show"], capture_output=True, check=True, text=True).stdout)
        found[kind] = {entry["id"] for entry in listed}
    return found


def counts(agent):
    return {kind: len(ids) for kind, ids in agent.bpf_objects()[0].items()}


def test_kill_9_leaves_nothing_and_disturbs_no_request(stack, odd_server):
    release = stack.directory / "release"
    service = odd_server("hold", release)
    got = Path(f"{release}.got")
    answers = []

    agent = Agent(stack.directory, stack.selectors())
    agent.wait_ready()
    ours, _ = agent.bpf_objects()
    assert ours["prog"] and ours["map"]
    assert ours["prog"] <= kernel_objects()["prog"]

    connection = Connection(service.host, service.port)
    in_flight = threading.Thread(target=lambda: answers.append(connection.request("/odd/1")))
    in_flight.start()
    wait_until(got.exists, "the service to have read the request")
    agent.kill()
    release.touch()
    in_flight.join()
    assert answers == [(200, b"ok\n")]
    assert connection.request("/odd/2")[0] == 200
    connection.close()

    # Programs go after a grace period of RCU.
    def gone():
        left = kernel_objects()
        return all(not (ours[kind] & left[kind]) for kind in ours)

    wait_until(gone, "every program, map and link of the killed agent to be gone")
    pins = Path("/sys/fs/bpf")
    assert not [path for path in pins.rglob("*") if "wirespan" in path.name]


def test_killed_at_any_moment_of_starting(stack, ledger):
    """Before ready too, at ten moments spread over a start; afterwards a whole run works."""
    with Agent(stack.directory, stack.selectors()) as agent:
        ours = counts(agent)
    began = time.monotonic()
    Agent(stack.directory, stack.selectors()).__enter__().stop()
    start_up = time.monotonic() - began
    for tenth in range(10):
        agent = Agent(stack.directory, stack.selectors())
        time.sleep(start_up * tenth / 10)
        agent.kill()
    with Agent(stack.directory, stack.selectors()) as agent:
        # As many objects as the first time, not ten times as many. A probe that only measures goes soon after. Before
        # there is traffic: what the service does may be reason for more probes, for minutes.
        def as_many():
            now = counts(agent)
            return now["link"] <= ours["link"] and all(now[kind] == ours[kind] for kind in ("prog", "map"))

        wait_until(as_many, f"no more objects than {ours}")
        assert len(drive(ledger, 20, 2)) == 20
    assert len(agent.spans()) == 20


def test_sigterm_flushes(stack, ledger):
    import signal

    agent = Agent(stack.directory, stack.selectors())
    agent.wait_ready()
    drive(ledger, 100, 4)
    assert agent.stop(signal.SIGTERM) == 0, agent.stderr()
    assert len(agent.spans()) == 100


def altered_code(pid):
    """How many bytes of a process's program code differ from its file: probes are breakpoints in it."""
    different = 0
    with open(f"/proc/{pid}/mem", "rb") as memory, open(f"/proc/{pid}/exe", "rb") as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            addresses, rights, offset, _, inode = line.split()[:5]
            if "x" not in rights or int(inode) != os.fstat(file.fileno()).st_ino:
                continue
            start, end = (int(address, 16) for address in addresses.split("-"))
            memory.seek(start)
            file.seek(int(offset, 16))
            code = file.read(end - start)
            different += sum(a != b for a, b in zip(memory.read(len(code)), code))
    return different


def counts(agent):
    return {kind: len(ids) for kind, ids in agent.bpf_objects()[0].items()}


def test_kill_9_leaves_no_breakpoint_in_a_go_program(stack, ledger):
    service = stack.go(ledger.url)
    assert altered_code(service.pid) == 0
    agent = Agent(stack.directory, stack.selectors())
    agent.wait_ready()
    assert altered_code(service.pid) > 0, "no probe was attached: this test shows nothing"
    agent.kill()
    wait_until(lambda: altered_code(service.pid) == 0, "the program's code to be what it was")
    connection = Connection(service.host, service.port)
    assert connection.request("/stock/1")[0] == 200
    connection.close()
