import sys

import pytest

from harness.agent import BINARY
from harness.stack import ODD_SERVERS, Stack, free_port


@pytest.fixture(scope="session", autouse=True)
def _agent_is_built():
    if not BINARY.exists():
        pytest.fail(f"{BINARY} is not there: ./dev build")


@pytest.fixture
def stack(request):
    """Services in a cgroup of their own; what the test printed about them is shown when it fails."""
    with Stack("e2e") as stack:
        yield stack
        for service in stack.services:
            text = service.log.read_text(errors="replace")[-1500:]
            if text:
                print(f"--- {service.name}\n{text}")


@pytest.fixture
def ledger(stack):
    """The end of a chain, with the file of what it saw."""
    service = stack.ledger(truth=stack.directory / "truth")
    service.truth = stack.directory / "truth"
    return service


@pytest.fixture
def odd_server(stack):
    """start(mode, *arguments): one of odd_servers.py, inside the stack's cgroup."""

    def start(mode, *arguments):
        port = free_port()
        return stack.start(mode, [sys.executable, ODD_SERVERS, mode, port, *arguments], ("127.0.0.1", port), "/odd")

    return start
