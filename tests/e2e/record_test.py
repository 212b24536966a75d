"""A recording is the run: it replays without rights and without a kernel, to the same bytes."""

import subprocess

from harness.agent import BINARY, Agent, wirespan, wirespan_as_nobody
from harness.load import drive
from harness.spans import read_spans
from harness.truth import judge

def test_replay_gives_the_same_spans_byte_for_byte(stack, ledger):
    recording = stack.directory / "run.rec"
    service = stack.flask(ledger.url, "gthread", threads=8)
    with Agent(stack.directory, stack.selectors(), "-o", recording, command="record", json=False) as agent:
        sent = drive(service, 200, 8)
    assert agent.process.returncode == 0, agent.stderr()
    assert recording.stat().st_mode & 0o777 == 0o600  # it holds what the services said to each other

    recording.chmod(0o644)
    # Another host, as far as one can tell from inside: its name, its machine id, its boot.
    elsewhere = ("hostname elsewhere && echo 0123456789abcdef0123456789abcdef >id && echo 11111111-2222-3333-4444-555555555555 >boot && "
                 "mount --bind boot /proc/sys/kernel/random/boot_id && if [ -e /etc/machine-id ]; then mount --bind id /etc/machine-id; fi && "
                 'exec "$@"')
    result = subprocess.run(["unshare", "--uts", "--mount", "sh", "-c", elsewhere, "sh", BINARY, "replay", recording, "--json", "elsewhere.jsonl"],
                            cwd=stack.directory, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    outputs = [(stack.directory / "elsewhere.jsonl").read_bytes()]
    for number in (1, 2):
        out = stack.directory / f"replay-{number}"
        out.mkdir()
        out.chmod(0o777)
        result = wirespan_as_nobody(stack.directory, "replay", recording, "--json", out / "spans.jsonl")
        assert result.returncode == 0, result.stderr
        outputs.append((out / "spans.jsonl").read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]
    verdict = judge(read_spans(stack.directory / "replay-1" / "spans.jsonl"), sent, ledger.truth, hops=3)
    assert verdict.right == 200, verdict


def test_a_cut_or_strange_recording_is_refused_kindly(stack, ledger):
    recording = stack.directory / "run.rec"
    with Agent(stack.directory, stack.selectors(), "-o", recording, command="record", json=False):
        drive(ledger, 20, 2)
    whole = recording.read_bytes()
    for name, content in (("cut", whole[: len(whole) * 2 // 3]), ("empty", b""), ("strange", b"GET / HTTP/1.1\r\n\r\n" * 100)):
        file = stack.directory / name
        file.write_bytes(content)
        result = wirespan("replay", file, "--json", stack.directory / f"{name}.jsonl")
        assert result.returncode >= 0, f"{name}: killed by signal {-result.returncode}"
        if name != "cut":
            assert result.returncode != 0
            assert str(file) in result.stderr
