"""What the agent says of itself: /healthz, /metrics and `wirespan top`."""

import http.client
import re
import socket
import stat

from harness.agent import Agent, wirespan
from harness.load import drive
from harness.stack import wait_until


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(self.path))


def get(path, page):
    connection = UnixConnection(path)
    connection.request("GET", page)
    reply = connection.getresponse()
    body = reply.read().decode()
    connection.close()
    return reply.status, body


def test_health_metrics_and_top_tell_what_was_served(stack, ledger):
    path = stack.directory / "health.sock"
    config = stack.directory / "health.yaml"
    config.write_text(f'health: {{listen: "unix:{path}"}}\n')
    with Agent(stack.directory, stack.selectors(), "--config", config):
        drive(ledger, 50, 2)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

        def served():
            _, text = get(path, "/metrics")
            assert text.endswith("# EOF\n")
            return {name: int(n) for name, n in re.findall(r'wirespan_service_requests_total\{service="([^"]*)",seen="span"\} (\d+)', text)}

        wait_until(lambda: 50 in served().values(), "the spans to be counted", 10)
        assert get(path, "/healthz")[0] == 200
        top = wirespan("top", "--connect", f"unix:{path}", "--once")
        assert top.returncode == 0, top.stderr
        name = next(name for name, count in served().items() if count == 50)
        assert any(line.startswith(name) for line in top.stdout.splitlines()), top.stdout
    assert not path.exists()


def test_nothing_listens_unless_asked_and_never_for_other_hosts(stack, ledger):
    config = stack.directory / "open.yaml"
    config.write_text('health: {listen: "0.0.0.0:9464"}\n')
    refused = wirespan("trace", *stack.selectors(), "--config", config, "--for", "1s")
    assert refused.returncode == 1 and "this host only" in refused.stderr
    gone = wirespan("top", "--connect", f"unix:{stack.directory}/nobody.sock", "--once")
    assert gone.returncode == 1 and "health.listen" in gone.stderr


def test_top_traces_by_itself(stack, ledger):
    result = wirespan("top", *stack.selectors(), "--once", "--interval", "500ms")
    assert result.returncode == 0, result.stderr
    assert "SERVICE" in result.stdout
