"""What the agent may do: no more than it needs as root, enough without root, and a word for each right it lacks."""

import os
import re
import stat
import subprocess

import pytest

from harness.agent import NOBODY, Agent, as_nobody, copy_for_nobody
from harness.load import drive
from harness.spans import SERVER
from harness.stack import ROOT

SYS_ADMIN = 1 << 21  # only where the kernel asks it for uprobes
UNIT = ROOT / "deploy" / "wirespan.service"
NUMBERS = {"dac_read_search": 2, "sys_ptrace": 19, "perfmon": 38, "bpf": 39}


def unit_capabilities():
    """Those of the shipped unit: "bpf", ..."""
    line = re.search(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE)[1]
    return [name.removeprefix("CAP_").lower() for name in line.split()]


def threads(pid):
    """/proc/PID/task/*/status as dictionaries."""
    for task in sorted(os.listdir(f"/proc/{pid}/task")):
        with open(f"/proc/{pid}/task/{task}/status") as status:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in status)


@pytest.fixture
def home(stack):
    """A directory of the user the agent runs as."""
    directory = stack.directory / "home"
    directory.mkdir(mode=0o755)
    os.chown(directory, NOBODY, NOBODY)
    return directory


def check_spans(agent, ledger, count):
    assert sum(span.local_port == ledger.port for span in agent.spans() if span.kind == SERVER) == count


def test_root_keeps_what_tracing_needs_and_files_are_its_own(stack, ledger):
    config = stack.directory / "agent.yaml"
    config.write_text(f'health: {{listen: "unix:{stack.directory}/health.sock"}}\n')
    with Agent(stack.directory, stack.selectors(), "--config", config) as agent:
        drive(ledger, 5, 1)
        needed = SYS_ADMIN | sum(1 << NUMBERS[name] for name in unit_capabilities())
        seen = list(threads(agent.pid))
        assert len(seen) > 1
        for thread in seen:
            for kind in ("CapEff", "CapPrm", "CapBnd"):
                assert int(thread[kind], 16) & ~needed == 0, (thread["Name"], kind, thread[kind])
            assert (thread["CapAmb"].strip("0"), thread["NoNewPrivs"], thread["Seccomp"]) == ("", "1", "2"), thread["Name"]
        assert stat.S_IMODE(agent.json_file.stat().st_mode) == 0o600
    assert agent.counters()["self.refused_calls"] == 0
    check_spans(agent, ledger, 5)


def test_probes_are_still_attached_to_what_starts_later(stack, ledger):
    """libbpf tries things out when it attaches its first uprobe, which must not be after the filter."""
    with Agent(stack.directory, stack.selectors()) as agent:
        drive(stack.go(ledger.url), 20, 2)
    counted = agent.counters()
    assert counted["capture.go.probes_attached"] > 0
    assert (counted["capture.go.probes_failed"], counted["self.refused_calls"]) == (0, 0)


def test_another_user_with_the_units_capabilities_traces(stack, ledger, home):
    """Services of root, by port: what takes the most."""
    config = home / "agent.yaml"
    config.write_text(f'health: {{listen: "unix:{home}/health.sock"}}\n')
    with Agent(home, ["--port", ledger.port], "--config", config, run_as=as_nobody(unit_capabilities()),
               binary=copy_for_nobody(home)) as agent:
        drive(ledger, 20, 2)
        assert (home / "health.sock").stat().st_uid == NOBODY
    check_spans(agent, ledger, 20)
    assert not [line for line in agent.errors if "without CAP_" in line and "CAP_SYS_ADMIN" not in line]
    assert agent.counters()["self.refused_calls"] == 0
    assert not (home / "health.sock").exists()


def test_a_file_with_capabilities_is_enough(stack, ledger, home):
    binary = copy_for_nobody(home)
    wanted = ",".join(f"cap_{name}" for name in unit_capabilities()) + "=ep"
    if subprocess.run(["setcap", wanted, binary], check=False, capture_output=True).returncode != 0:
        pytest.skip("this file system keeps no file capabilities")
    user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    with Agent(home, ["--port", ledger.port], run_as=user, binary=binary) as agent:
        drive(ledger, 20, 2)
    check_spans(agent, ledger, 20)


@pytest.mark.parametrize("lacking", unit_capabilities())
def test_a_missing_capability_is_named(stack, ledger, home, lacking):
    command = [*as_nobody(set(unit_capabilities()) - {lacking}), copy_for_nobody(home), "trace", "--port", str(ledger.port), "--for", "200ms"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    named = {name for name in NUMBERS if f"CAP_{name.upper()}" in result.stderr}
    assert named == {lacking}, result.stderr
    # Without these nothing works, and it says so; without the others what is said to work does.
    assert result.returncode == (1 if lacking in ("bpf", "perfmon") else 0), result.stderr


def test_a_launched_command_inherits_nothing(stack, home):
    with Agent(home, [], "--", "grep", "Cap", "/proc/self/status", json=False, run_as=as_nobody(unit_capabilities()),
               binary=copy_for_nobody(home), stdout=subprocess.PIPE) as agent:
        sets = agent.process.stdout.read()
    assert re.findall(r"Cap(?:Eff|Prm|Amb):\t(\w+)", sets) == ["0" * 16] * 3


def test_the_units_sandbox_is_on():
    """By systemd's own measure; 0 is best, 10 worst."""
    try:
        told = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=30", UNIT],
                              capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no systemd-analyze")
    if "unrecognized option" in told.stderr:
        pytest.skip("systemd older than 250")
    assert told.returncode == 0, told.stdout + told.stderr
