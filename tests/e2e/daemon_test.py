"""`wirespan run`: the daemon, its configuration, and the example we ship."""

import signal
import subprocess

import pytest

from harness.agent import BINARY, Agent, wirespan
from harness.load import drive
from harness.spans import SERVER
from harness.stack import ROOT, wait_until


def write_config(stack, ports, out):
    file = stack.directory / "wirespan.yaml"
    file.write_text(f"selectors:\n  ports: {ports}\nexport:\n  file:\n    path: {out}\n")
    return file


def test_the_shipped_example_is_valid():
    result = wirespan("run", "--config", ROOT / "deploy" / "wirespan.yaml", "--print-config")
    assert result.returncode == 0, result.stderr
    assert "8080" in result.stdout
    assert "http://localhost:4317" in result.stdout


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("selectors:\n  prots: [80]\n", 2, ["prots", "ports"]),
        ("selectors:\n  ports: [99999]\n", 2, ["65535"]),
        ("selectors:\n  ports: [80]\nexport:\n  otlp:\n    protocol: carrier-pigeon\n", 5, ["grpc", "http/protobuf", "http/json"]),
        ("selectors: [\n", 2, []),
    ],
    ids=["unknown-key", "out-of-range", "bad-choice", "not-yaml"],
)
def test_a_bad_file_is_explained(stack, text, line, words):
    file = stack.directory / "bad.yaml"
    file.write_text(text)
    result = wirespan("run", "--config", file, "--print-config")
    assert result.returncode != 0
    assert f"{file}:{line}" in result.stderr
    for word in words:
        assert word in result.stderr


def test_sighup_reloads_and_sigterm_flushes(stack, ledger):
    neighbour = stack.ledger()
    out = stack.directory / "spans.jsonl"
    config = write_config(stack, [ledger.port, neighbour.port], out)
    agent = Agent(stack.directory, ["--config", config], command="run", json=False)
    try:
        agent.wait_ready()
        agent.json_file = out
        drive(ledger, 20, 2)
        config.write_text("selectors: {prots: [1]}\n")  # a bad file changes nothing
        agent.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "prots" in agent.stderr(), "the bad file to be reported")
        drive(neighbour, 20, 2)
        assert agent.stop(signal.SIGTERM) == 0, agent.stderr()
    finally:
        agent.kill()
    ports = [span.local_port for span in agent.spans() if span.kind == SERVER]
    assert (ports.count(ledger.port), ports.count(neighbour.port)) == (20, 20)


def test_a_machine_that_cannot_is_told_what_it_lacks():
    """Without BTF, and without a capability."""
    blind = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]
    weak = ["setpriv", "--bounding-set", "-perfmon,-sys_admin", "--inh-caps", "-perfmon,-sys_admin"]
    for prefix, word in ((blind, "BTF"), (weak, "CAP_PERFMON")):
        result = subprocess.run([*prefix, BINARY, "trace", "--pid", "1", "--for", "1s"], capture_output=True, text=True, check=False, timeout=120)
        assert result.returncode == 1, result.stderr
        assert "this machine cannot trace" in result.stderr and word in result.stderr
