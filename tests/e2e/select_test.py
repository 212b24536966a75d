"""What is traced is what was asked for, and nothing unless something was."""

import json
import sys

import pytest

from harness.agent import BINARY, Agent, wirespan, wirespan_as_nobody
from harness.load import drive
from harness.spans import SERVER


def test_refuses_without_a_selector():
    result = wirespan("trace", "--for", "1s")
    assert result.returncode != 0
    for word in ("--pid", "--cgroup", "--exe", "--port", "--all"):
        assert word in result.stderr
    assert "ready" not in result.stderr


@pytest.mark.parametrize(
    "arguments", [["--pid", "0"], ["--pid", "nine"], ["--port", "70000"], ["--for", "soon", "--port", "1"]]
)
def test_a_bad_selector_is_named(arguments):
    result = wirespan("trace", *arguments)
    assert result.returncode != 0
    assert arguments[0] in result.stderr or arguments[1] in result.stderr


# From a started Flask service (gunicorn with children) to the selector that means it and not its neighbour.
SELECTORS = {
    "pid": lambda stack, service: ["--pid", service.pid],
    "port": lambda stack, service: ["--port", service.port],
    "exe": lambda stack, service: ["--exe", str(stack.directory / "wanted-*")],
    "several": lambda stack, service: ["--pid", 1 << 22, "--port", service.port],
}


@pytest.mark.parametrize("by", SELECTORS)
def test_selector(stack, ledger, by):
    """The neighbour answers requests too, and is never seen; children of the selected are."""
    neighbour = stack.java()
    service = stack.go(ledger.url, direct=True, copy_to="wanted-service") if by == "exe" else stack.flask(ledger.url, workers=2)
    with Agent(stack.directory, SELECTORS[by](stack, service)) as agent:
        drive(neighbour, 20, 2)
        drive(service, 20, 2)
    spans = agent.spans()
    assert sum(span.kind == SERVER for span in spans) == 20
    assert {span.local_port for span in spans if span.kind == SERVER} == {service.port}
    assert len(spans) == 40  # each asks the ledger, which is not traced itself


def test_a_service_started_later_in_the_cgroup_is_traced(stack, ledger):
    with Agent(stack.directory, ["--cgroup", stack.cgroup.path]) as agent:
        service = stack.flask(ledger.url, workers=2)
        sent = drive(service, 50, 2)
    ports = [span.local_port for span in agent.spans() if span.kind == SERVER]
    assert ports.count(service.port) == len(sent)


def test_a_command_after_dashes_is_traced_until_it_ends(stack):
    """No selector needed: the command is the selection, and its end is the end."""
    ledger = stack.ledger()
    command = [sys.executable, "-c", f"import urllib.request as u; [u.urlopen('{ledger.url}/' + str(n)).read() for n in range(5)]"]
    out = stack.directory / "command.jsonl"
    result = wirespan("trace", "--json", out, "--", *command)
    assert result.returncode == 0, result.stderr
    names = [json.loads(line) for line in out.read_text().splitlines()]
    assert sum(len(scope["spans"]) for line in names for group in line["resourceSpans"] for scope in group["scopeSpans"]) == 5


def test_for_ends_by_itself(stack, ledger):
    result = wirespan("trace", "--pid", ledger.pid, "--for", "1s", "--json", stack.directory / "out")
    assert result.returncode == 0, result.stderr
    assert "ready" in result.stderr


def test_doctor():
    plain, machine = wirespan("doctor"), wirespan("doctor", "--json")
    assert plain.returncode == machine.returncode == 0, plain.stdout + plain.stderr
    assert "BTF" in plain.stdout
    assert json.loads(machine.stdout)


def test_doctor_without_rights_says_what_is_missing(stack):
    result = wirespan_as_nobody(stack.directory, "doctor")
    assert result.returncode != 0
    assert "CAP_BPF" in result.stdout + result.stderr


def test_help_names_every_command():
    result = wirespan("--help")
    assert result.returncode == 0
    for command in ("trace", "run", "record", "replay", "doctor"):
        assert command in result.stdout
    assert BINARY.stat().st_mode & 0o111
