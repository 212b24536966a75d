"""An agent that gets no CPU for a while loses events in long runs: what it then says must still be true."""

import os
import signal
import threading

import pytest

from harness.agent import Agent
from harness.load import drive
from harness.truth import judge

KINDS = {
    "go-direct": lambda stack, url: stack.go(url, direct=True),
    "gunicorn-gthread": lambda stack, url: stack.flask(url, "gthread", workers=2, threads=16),
}
STOPPED, RUNNING = 0.25, 0.15  # s: the smallest ring there is holds less than what comes in between


@pytest.mark.parametrize("kind", KINDS)
def test_starved_agent_tells_no_lies(stack, ledger, kind):
    service = KINDS[kind](stack, ledger.url)
    config = stack.directory / "small.yaml"
    config.write_text("capture: {ring_size: 256KiB}\n")
    with Agent(stack.directory, stack.selectors(), "--config", config) as agent:
        over = threading.Event()

        def starve():
            while not over.is_set():
                os.kill(agent.pid, signal.SIGSTOP)
                over.wait(STOPPED)
                os.kill(agent.pid, signal.SIGCONT)
                over.wait(RUNNING)

        starving = threading.Thread(target=starve)
        starving.start()
        try:
            sent = drive(service, 4000, 64)
        finally:
            over.set()
            starving.join()
    assert agent.counters().get("capture.lost.ringbuf_full", 0) > 0, "nothing was lost: this proves nothing"
    verdict = judge(agent.spans(), sent, ledger.truth, hops=3)
    assert verdict.wrong <= 0.01 * (verdict.right + verdict.wrong), verdict
    assert verdict.right > 0, verdict
