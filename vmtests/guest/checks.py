"""What must hold on every kernel. A check returns facts for the table, or raises."""

import contextlib
import functools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import bpf_objects
from harness.agent import BINARY, Agent, wirespan
from harness.load import drive
from harness.spans import CLIENT, SERVER, read_spans
from harness.stack import Stack, wait_until
from harness.truth import judge

ROOT_TESTS = Path("/wirespan/build/release/capture_root_test")


class NotOnThisKernel(Exception):
    """Said in the table: what this kernel does not have."""


class Failed(AssertionError):
    """With what was found all the same."""

    def __init__(self, message, facts):
        super().__init__(message)
        self.facts = facts


def run(*command, env=None, text="", timeout=600):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=timeout, input=text,
                          env={**os.environ, **(env or {})}, errors="replace")


def sh(text):
    done = run("sh", "-ec", text)
    assert done.returncode == 0, f"{text}: {done.stderr}"
    return done.stdout


@functools.cache
def report():
    """What `wirespan doctor` finds here."""
    done = run(BINARY, "doctor", "--json")
    return {**json.loads(done.stdout), "status": done.returncode}


def doctor():
    """Every program of every plan is loaded and attached, or the reason is there."""
    found = report()
    facts = {"plan": found["plan"],
             "programs": {hook["program"]: {"hook": hook["hook"], "plan": hook["plan"], "works": hook["works"],
                                            "instructions": hook["instructions"], "why_not": hook["why_not"][-700:]} for hook in found["hooks"]}}
    refused = {name: program["why_not"] for name, program in facts["programs"].items() if not program["works"]}
    if found["status"] != 0 or not found["can_trace"] or not all(refused.values()):
        raise Failed(f"refused: {refused}", facts)
    return facts


# Emulated, reading the kernel's types and verifying takes seconds, and each test does it: one test of each kind here, all
# of them on the machine itself.
EVENTS = ("Calls.Sending", "Calls.Receiving", "Waiting.InACallThatBeganBeforeTheAgent", "Turns.FirstBytesAreCopiedTheRestIsCounted", "Verdicts.MoreCopiesWholeCallsIgnoreCopiesNothing",
          "Closing.ClosedByUsClosedByThemReset", "UnixPairs.OfASocketpair", "Selectors.MembersOfACgroupAndWhoEntersIt",
          "Sockets.KeepTheirIdentityThroughDupForkAndPassing", "Families/TcpIdentity.OfAnOlderConnection/IPv6")
EVENTS_OF_A_SPARE = ("Calls.Sending", "Turns.FirstBytesAreCopiedTheRestIsCounted", "Closing.ClosedByUsClosedByThemReset",
                     "Families/TcpIdentity.OfAnOlderConnection/IPv6")
EVENT_SECONDS = 120
OUTCOME = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] ([^ ,]+)[^(]*\(\d+ ms\)", re.M)


def events(plan):
    """The capture tests: each makes a known exchange and says which events must come of it. "": by the best plan."""
    if plan == report()["plan"]:
        raise NotOnThisKernel("this is the best plan here: see events")
    if plan == "functions" and (why := [hook["why_not"] for hook in report()["hooks"] if hook["program"] == "tcp_send__fexit" and not hook["works"]]):
        raise NotOnThisKernel(why[0])
    if plan == "raw_tp" and any(hook["works"] and hook["program"].endswith("__tp") for hook in report()["hooks"]):
        raise NotOnThisKernel("programs of raw tracepoints miss events here: docs/adr/0014")
    left = list(EVENTS_OF_A_SPARE if plan else EVENTS)
    outcomes, bad = {}, {}
    # Named, where it is not the first: each test would try that one again (whole_host does).
    wanted = plan or (report()["plan"] if report()["plan"] != "sockets" else "")
    # In one process, which learns once what this kernel refuses; one that hangs or dies hides no other.
    while left:
        try:
            done = run(ROOT_TESTS, f"--gtest_filter={':'.join(left)}", env={"WIRESPAN_TEST_PLAN": wanted} if wanted else {},
                       timeout=EVENT_SECONDS * len(left))
            out, end = done.stdout, f"status {done.returncode}: {done.stderr[-300:]}"
        except subprocess.TimeoutExpired as late:
            out, end = (late.stdout or b"").decode(errors="replace"), "hangs"
        found = {name: outcome for outcome, name in OUTCOME.findall(out)}
        outcomes.update(found)
        begun = [name for name in left if f"[ RUN      ] {name}\n" in out and name not in found]
        if not found and not begun:
            raise AssertionError(f"none of {left} ran: {end}")
        bad.update({name: end for name in begun})
        left = [name for name in left if name not in found and name not in begun] if begun else []
        if "FAILED" in found.values():
            bad["what they said"] = failure_text(out)
    missing = set(EVENTS_OF_A_SPARE if plan else EVENTS) - set(outcomes) - set(bad)
    assert not missing, f"renamed: {missing}"
    assert not bad, "\n".join(f"{name}: {text}" for name, text in bad.items())
    return {"tests": len(outcomes), "skipped": [name for name, outcome in outcomes.items() if outcome == "SKIPPED"]}


def failure_text(output):
    """What the failed tests said, without the rest."""
    kept, current = [], []
    for line in output.splitlines():
        if line.startswith("[ RUN "):
            current = []
        current.append(line)
        if line.startswith("[  FAILED  ]"):
            kept += current
            current = []
    return "\n".join(kept)[:1200]


def chain(stack):
    """nginx in front of a Go service in front of a Python one."""
    truth = stack.directory / "truth"
    ledger = stack.ledger(truth)
    ledger.truth = truth
    has_go = Path("/wirespan/build/services/stock").exists()
    middle = stack.go(ledger.url, direct=True) if has_go else ledger
    front = stack.nginx(f"127.0.0.1:{middle.port}")
    # Spans on a request's way: one at each end of each connection, and the first has no client that is traced.
    return front, ledger, middle.url.split(str(middle.port), 1)[1] + "/", 5 if has_go else 3


def assert_nothing_lost(agent):
    """First of all: what was lost explains whatever else is wrong."""
    lost = {name: value for name, value in agent.counters().items() if name.startswith("capture.lost.") and value}
    assert not lost, lost


def whole_host():
    """--all: every request through the chain is one trace with every parent right, one at a time."""
    with Stack("host") as stack:
        front, ledger, path, hops = chain(stack)
        drive(front, 5, 1, path=path)  # whatever is built on first use
        ledger.truth.write_text("")
        with Agent(stack.directory, ["--all"]) as agent:
            sent = drive(front, 60, 1, path=path)
        assert_nothing_lost(agent)
        spans = agent.spans()
        # The whole host: the client that sends the requests as well. Its spans are the traces' roots.
        asked = [s for s in spans if s.kind == CLIENT and s.peer_port == front.port]
        assert len(asked) == 60, [(s.name, s.start, s.attributes) for s in asked if s.attributes.get("wirespan.incomplete")] or len(asked)
        roots = {(s.trace, s.id) for s in asked if not s.parent}
        served = [s for s in spans if s.kind == SERVER and s.local_port == front.port]
        assert {(s.trace, s.parent) for s in served} == roots, "the client's spans are not the servers' parents"
        verdict = judge([s for s in spans if s not in asked], sent, ledger.truth, hops)
        assert agent.process.returncode == 0, agent.stderr()
        assert (verdict.right, verdict.wrong) == (60, 0), verdict
        return {"spans": len(spans)}


def busy():
    """The same, many requests at once: no parent wrong, nothing lost that is not counted."""
    with Stack("busy") as stack:
        ledger = stack.ledger(stack.directory / "truth")
        front = stack.nginx(f"127.0.0.1:{ledger.port}")
        with Agent(stack.directory, stack.selectors()) as agent:
            sent = drive(front, 400, 16, path="/book/")
        assert_nothing_lost(agent)
        spans = agent.spans()
        assert agent.process.returncode == 0, agent.stderr()
        verdict = judge(spans, sent, stack.directory / "truth", 3)
        assert verdict.wrong == 0 and verdict.unseen == 0 and verdict.doubled == 0, verdict
        return {"right": verdict.right, "missing": verdict.missing}


def why_not(spans):
    """How many calls have no parent, by the reason the agent gave."""
    return dict(Counter(s.attributes.get("wirespan.link.missing") for s in spans if s.kind == CLIENT and not s.parent))


def clock_steps():
    """The clock is put an hour forward and back between requests: every trace is whole, and no span longer than its request."""
    with Stack("steps") as stack:
        ledger = stack.ledger()
        front = stack.nginx(f"127.0.0.1:{ledger.port}")
        drive(front, 5, 1, path="/book/")
        longest = 0
        with Agent(stack.directory, stack.selectors()) as agent:
            for hours in (1, -2, 1):
                time.clock_settime(time.CLOCK_REALTIME, time.time() + hours * 3600)
                began = time.monotonic_ns()
                # One at a time: of the first that nginx serves at once it is not known yet what it does for which.
                drive(front, 20, 1, path="/book/")
                longest = max(longest, time.monotonic_ns() - began)
        assert_nothing_lost(agent)
        spans = agent.spans()
        assert agent.process.returncode == 0, agent.stderr()
        by_id = {(s.trace, s.id): s for s in spans}
        last = [s for s in spans if s.kind == SERVER and s.local_port == ledger.port]
        assert (len(spans), len(last)) == (180, 60), (len(spans), len(last))
        for span in last:
            for expected in (CLIENT, SERVER):
                span = by_id.get((span.trace, span.parent))
                assert span and span.kind == expected, f"a parent is missing: {why_not(spans)}"
        wrong = [s.end - s.start for s in spans if not 0 <= s.end - s.start <= longest]
        assert not wrong, f"spans that last {wrong[:5]} ns, where all requests took {longest}"
        return {"spans": len(spans)}


def container():
    """A process in namespaces and a cgroup of its own, reached over a virtual link from outside, by DNAT where the
    kernel has it: both ends make the same span, and the resource names the container."""
    container_id = "".join(random.choice("0123456789abcdef") for _ in range(64))
    group = Path(f"/sys/fs/cgroup/docker/{container_id}")
    directory = Path(tempfile.mkdtemp())
    out = directory / "spans.jsonl"
    group.mkdir(parents=True)
    inside = subprocess.Popen(
        ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec unshare --net --pid --mount --uts --fork --kill-child --mount-proc '
                     f'sh -c "hostname inside; ip link set lo up; : >{directory}/up; '
                     f'while [ ! -e {directory}/linked ]; do sleep 0.05; done; '
                     f'LISTEN=10.9.9.2:8080 exec python3 /wirespan/tests/services/ledger.py"'],
        start_new_session=True)
    try:
        wait_until((directory / "up").exists, "the namespaces")
        pid = next(int(p) for p in (group / "cgroup.procs").read_text().split()
                   if os.stat(f"/proc/{p}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino)
        sh(f"ip link add wsv0 type veth peer name wsv1 netns {pid}; ip addr add 10.9.9.1/24 dev wsv0; ip link set wsv0 up; "
           f"nsenter -t {pid} -n ip addr add 10.9.9.2/24 dev wsv1; nsenter -t {pid} -n ip link set wsv1 up")
        nat = run("nft", "-f", "-", text=NAT)
        sh("ip route replace 10.8.8.0/24 dev wsv0")
        target = ("10.8.8.8", 80) if nat.returncode == 0 else ("10.9.9.2", 8080)
        (directory / "linked").touch()
        client = subprocess.Popen(["python3", "-c", CLIENT_PROGRAM, target[0], str(target[1]), "20"], stdin=subprocess.PIPE)
        wait_until(lambda: listening(pid, 8080), "the service in its namespaces")
        agent = Agent(directory, ["--cgroup", group, "--pid", client.pid, "--json", out], json=False)
        try:
            agent.wait_ready()
            client.communicate(b"go\n", timeout=120)
            assert client.returncode == 0
        finally:
            agent.stop()
        spans = read_spans(out)
        servers, clients = [s for s in spans if s.kind == SERVER], [s for s in spans if s.kind == CLIENT]
        assert (len(servers), len(clients)) == (20, 20), (len(servers), len(clients), agent.stderr())
        by_id = {(s.trace, s.id) for s in clients}
        assert all((s.trace, s.parent) in by_id for s in servers), "both ends do not agree on the span"
        assert {s.resource.get("container.id") for s in servers} == {container_id}, servers[0].resource
        return {"through": "DNAT and masquerade" if nat.returncode == 0 else f"a plain link ({nat.stderr.strip()[:80]})"}
    finally:
        subprocess.run(["nft", "delete", "table", "ip", "ws"], stderr=subprocess.DEVNULL, check=False)
        os.killpg(inside.pid, signal.SIGKILL)
        for process in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):  # it was dying
                os.kill(int(process), signal.SIGKILL)
        inside.wait()
        shutil.rmtree(directory, ignore_errors=True)


NAT = """
table ip ws {
  chain out { type nat hook output priority -100; ip daddr 10.8.8.8 tcp dport 80 dnat to 10.9.9.2:8080; }
  chain post { type nat hook postrouting priority 100; oifname wsv0 masquerade; }
}
"""
CLIENT_PROGRAM = """
import http.client, sys
sys.stdin.readline()
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=60)
for number in range(int(sys.argv[3])):
    connection.request("GET", f"/book/{number}")
    assert connection.getresponse().read() == b"ledger\\n"
"""


def listening(pid, port):
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
               for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:])


def leaks():
    """Attached and detached 200 times, started and ended 3 times: the kernel holds no more than before."""
    before = bpf_objects.counts()
    done = run(ROOT_TESTS, "--gtest_filter=*Lifecycle.*", env={"WIRESPAN_TEST_ROUNDS": "200"})
    assert done.returncode == 0 and "[  PASSED  ]" in done.stdout, failure_text(done.stdout)
    for _ in range(3):
        result = wirespan("trace", "--pid", "1", "--for", "50ms", "--json", "/tmp/leak.jsonl")
        assert result.returncode == 0, result.stderr
    after = bpf_objects.settled(before)
    assert after == before, f"before {before}, after {after}"
    return {"held": after}


MOMENTS = 7


def killed():
    """kill -9 at moments spread over its life, a service answering all the while: nothing is left."""
    before = bpf_objects.counts()
    with Stack("killed") as stack:
        ledger = stack.ledger()
        began = time.monotonic()
        with Agent(stack.directory, stack.selectors()) as agent:
            start_up = time.monotonic() - began
            drive(ledger, 20, 2)
        for part in range(MOMENTS):
            process = subprocess.Popen([str(BINARY), "trace", *stack.selectors(), "--json", str(stack.directory / "killed.jsonl")],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(start_up * 1.4 * (part + 0.5) / MOMENTS)
            if part >= MOMENTS * 2 // 3:
                drive(ledger, 5, 2)
            process.kill()
            process.wait()
            drive(ledger, 5, 2)
        after = bpf_objects.settled(before)
        assert after == before, f"before {before}, after {after}"
        return {"start_up_seconds": round(start_up, 1)}


def without_btf():
    """A kernel that does not describe its types is refused, in words."""
    hidden = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'
    asked = run("unshare", "--mount", "sh", "-c", hidden, "sh", BINARY, "doctor")
    assert asked.returncode == 1 and "BTF" in asked.stdout, asked.stdout + asked.stderr
    tried = run("unshare", "--mount", "sh", "-c", hidden, "sh", BINARY, "trace", "--pid", "1", "--for", "1s")
    assert tried.returncode == 1 and "BTF" in tried.stderr, tried.stdout + tried.stderr
    return {"said": tried.stderr.strip().splitlines()[-1][:200]}


def lockdown():
    """Under lockdown=confidentiality BPF may not read the kernel's memory: refused, in words."""
    state = Path("/sys/kernel/security/lockdown")
    if not state.exists() or "[confidentiality]" not in state.read_text():
        raise NotOnThisKernel("not under lockdown=confidentiality")
    asked = wirespan("doctor")
    assert asked.returncode == 1 and "lockdown" in asked.stdout, asked.stdout + asked.stderr
    tried = wirespan("trace", "--pid", "1", "--for", "1s")
    assert tried.returncode == 1 and "lockdown" in tried.stderr, tried.stderr
    return {"said": tried.stderr.strip().splitlines()[-1][:200]}


CAPABILITIES = ("bpf", "perfmon", "sys_ptrace", "dac_read_search")


def as_user(capabilities):
    """Prefix: as uid 1000 with these capabilities and no others."""
    kept = ",".join(f"+{name}" for name in capabilities)
    return ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "--no-new-privs", "--bounding-set", f"-all,{kept}" if kept else "-all",
            "--inh-caps", f"-all,{kept}" if kept else "-all", "--ambient-caps", f"-all,{kept}" if kept else "-all"]


def least_rights():
    """With the listed capabilities and no others it traces a service of another user; with one missing it names it."""
    major, minor = (int(part) for part in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())
    # Before 5.11 maps count as locked memory.
    granted = CAPABILITIES + (("sys_resource",) if (major, minor) < (5, 11) else ())
    # Debian lets nobody else than CAP_SYS_ADMIN use perf (3); from 7.0 on tracepoints need it (docs/hardening.md).
    Path("/proc/sys/kernel/perf_event_paranoid").write_text("2")
    with Stack("rights") as stack:
        stack.directory.chmod(0o777)
        ledger = stack.ledger()
        with Agent(stack.directory, ["--pid", ledger.pid], run_as=as_user(granted)) as agent:
            drive(ledger, 10, 1)
        spans = agent.spans()
        assert len(spans) == 10, (len(spans), agent.stderr())
        for missing in ("bpf", "perfmon"):
            tried = run(*as_user([name for name in granted if name != missing]), BINARY, "trace", "--pid", ledger.pid, "--for", "1s")
            assert tried.returncode == 1 and f"CAP_{missing.upper()}" in tried.stderr, (missing, tried.stderr)
    return {"capabilities": list(granted)}


CHECKS = {
    "doctor": doctor,
    "events": lambda: events(""),
    "events_functions": lambda: events("functions"),
    "events_syscalls": lambda: events("syscalls"),
    "events_raw_tp": lambda: events("raw_tp"),
    "whole_host": whole_host,
    "busy": busy,
    "clock_steps": clock_steps,
    "container": container,
    "leaks": leaks,
    "killed": killed,
    "least_rights": least_rights,
    "without_btf": without_btf,
    "lockdown": lockdown,
}
