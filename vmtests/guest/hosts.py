"""Two machines on one wire, an agent on each, clocks far apart and packets delayed: what each saw is a fact for the host
(vmtests/pair.py), which compares. `far` serves, `near` calls it and says when to begin and end."""

import socket
import subprocess
import sys
import time

sys.path.insert(0, "/wirespan/tests")  # also for the one that calls

from harness.agent import Agent
from harness.load import Connection
from harness.spans import CLIENT, SERVER
from harness.stack import Stack, wait_until

NEAR, FAR = "10.7.7.1", "10.7.7.2"
SERVICE_PORT, WORDS_PORT = 8080, 9000
DELAY_MS = 25  # each way
REQUESTS = 20  # of each kind
BOOT_SECONDS = 300


def sh(text):
    done = subprocess.run(["sh", "-ec", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{text}: {done.stderr}"


def join_wire(address):
    sh(f"modprobe virtio_pci || true; modprobe virtio_net; ip addr add {address}/24 dev eth0; ip link set eth0 up; "
       f"tc qdisc add dev eth0 root netem delay {DELAY_MS}ms")


def facts_of(agent, kind):
    assert agent.process.returncode == 0, agent.stderr()
    lost = {name: value for name, value in agent.counters().items() if name.startswith("capture.lost.") and value}
    assert not lost, lost
    return [{"id": s.id, "parent": s.parent, "name": s.name, "start": s.start, "end": s.end} for s in agent.spans() if s.kind == kind]


class Words:
    """A line there, a line back: who is ready, and what the other's clock says."""

    def __init__(self, connection):
        self.connection, self.stream = connection, connection.makefile("rw")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def say(self, word):
        self.stream.write(word + "\n")
        self.stream.flush()

    def hear(self):
        return self.stream.readline().strip()


def far():
    join_wire(FAR)
    with Stack("far") as stack:
        stack.ledger(host=FAR, port=SERVICE_PORT)
        with socket.create_server((FAR, WORDS_PORT)) as listener:
            listener.settimeout(BOOT_SECONDS)
            words = Words(listener.accept()[0])
        words.hear()  # that its old connection is there
        with Agent(stack.directory, stack.selectors()) as agent:
            words.say("ready")
            while words.hear() == "time":
                words.say(str(time.time_ns()))
        spans = facts_of(agent, SERVER)
        words.say("done")
        return {"spans": spans}


def offset_of(words):
    """What the other's clock is ahead of ours, ns: by the exchange of the shortest way."""
    found = []
    for _ in range(10):
        asked = time.time_ns()
        words.say("time")
        theirs = int(words.hear())
        answered = time.time_ns()
        found.append((answered - asked, theirs - (asked + answered) // 2))
    return min(found)


def near():
    join_wire(NEAR)
    found = []
    wait_until(lambda: found or found.extend(_connected((FAR, WORDS_PORT))), "the other machine", BOOT_SECONDS)
    words = Words(found[0])
    with Stack("near") as stack:
        caller = subprocess.Popen(stack.cgroup.enter_command([sys.executable, "-u", __file__]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert caller.stdout.readline() == "connected\n"
            words.say("connected")
            assert words.hear() == "ready"
            round_trip, offset = offset_of(words)
            with Agent(stack.directory, stack.selectors()) as agent:
                answers, _ = caller.communicate("go\n", timeout=300)
                assert caller.returncode == 0, answers
            spans = facts_of(agent, CLIENT)
        finally:
            caller.kill()
    words.say("end")
    assert words.hear() == "done"
    return {"spans": spans, "offset_ns": offset, "round_trip_ns": round_trip, "requests": 3 * REQUESTS}


def _connected(address):
    try:
        return [socket.create_connection(address, timeout=BOOT_SECONDS)]
    except OSError:
        return []


def call():
    """Runs traced. On a connection older than the agents, on one of now, and on one connection each."""
    old, young = Connection(FAR, SERVICE_PORT), Connection(FAR, SERVICE_PORT)
    assert old.request("/book/before")[0] == 200
    print("connected", flush=True)
    sys.stdin.readline()
    for number in range(REQUESTS):
        fresh = Connection(FAR, SERVICE_PORT)
        for kind, connection in (("old", old), ("young", young), ("fresh", fresh)):
            assert connection.request(f"/{kind}/{number}")[0] == 200
        fresh.close()


CHECKS = {"far": far, "near": near}

if __name__ == "__main__":
    call()
