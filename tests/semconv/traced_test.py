"""What the agent writes about real servers follows the conventions, and nothing in it is secret."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from check import check  # noqa: E402

from harness.agent import Agent  # noqa: E402
from harness.load import Connection  # noqa: E402
from harness.stack import Stack  # noqa: E402

SECRETS = ("hunter2", "jo@example.com", "4111111111111111")
REQUESTS = (
    # method, path, headers
    ("GET", "/orders/1?token=hunter2&page=2", []),
    ("GET", "/nowhere/jo@example.com", []),
    ("HEAD", "/orders/2", ["Connection: close"]),
    ("PURGE", "/orders/3", []),
    ("GET", "/orders/4111111111111111", ["Authorization: Bearer hunter2hunter2", "X-Tenant: acme", "Cookie: id=hunter2"]),
)
CONFIG = """
http:
  request_headers: [authorization, cookie, x-tenant]
"""


def test_spans_of_nginx_gunicorn_and_a_chain():
    with Stack("semconv") as stack:
        ledger = stack.ledger()
        nginx = stack.nginx(f"127.0.0.1:{stack.flask(ledger.url).port}")
        config = stack.directory / "wirespan.yaml"
        config.write_text(CONFIG)
        with Agent(stack.directory, stack.selectors(), "--config", config) as agent:
            for method, path, headers in REQUESTS:
                connection = Connection(nginx.host, nginx.port)
                connection.request(path, method=method, headers=headers)
                connection.close()
        assert agent.process.returncode == 0, agent.stderr()
        text = agent.json_file.read_text()
        names = {span.service for span in agent.spans()}
    checked = check(text.splitlines())
    assert checked.spans >= 2 * len(REQUESTS) + len(REQUESTS)
    assert not checked.mistakes, "\n".join(f"{what}: {checked.examples[what]}" for what in checked.mistakes)
    assert "acme" in text, "headers asked for are there"
    for secret in SECRETS:
        assert secret not in text
    # nginx by its executable, the application by its module, not "gunicorn" or "python".
    assert names == {"nginx", "flask_orders", "ledger"}
