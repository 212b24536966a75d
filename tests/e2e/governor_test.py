"""The governor: over budget the agent samples by windows and only counts between them, and nothing goes uncounted."""

import re
import threading

from harness.agent import Agent
from harness.load import Connection
from harness.spans import SERVER
from harness.stack import wait_until

# A budget nobody can keep: down it goes, through every rung.
CONFIG = 'governor: {mode: "on", cpu: 0, period: 400ms}\n'


def keep_asking(service, clients, stop):
    """Clients that ask one request after the other on a connection of their own; how many were answered by the end."""
    answered = [0] * clients

    def client(number):
        connection = Connection(service.host, service.port)
        while not stop.is_set():
            assert connection.request("/ledger/1")[0] == 200
            answered[number] += 1
        connection.close()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    return threads, answered


def test_requests_are_spans_or_counted_on_every_rung(stack, ledger):
    config = stack.directory / "governed.yaml"
    config.write_text(CONFIG)
    stop = threading.Event()
    with Agent(stack.directory, stack.selectors(), "--config", config) as agent:
        threads, answered = keep_asking(ledger, 4, stop)
        try:
            wait_until(lambda: "only counters" in agent.stderr(), "the last rung", 60)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        # One more, which is only counted.
        assert Connection(ledger.host, ledger.port).request("/ledger/1")[0] == 200
    counters = agent.counters()
    rungs = [int(number) for number in re.findall(r"down to rung (\d+)", agent.stderr())]
    # Rung 2 takes wake-up probes off, and here are none.
    assert rungs == [1, *range(3, rungs[-1] + 1)], "one at a time"
    spans = [span for span in agent.spans() if span.kind == SERVER]
    cut = counters["governor.cut.requests"] + counters["governor.cut.half_read"]
    assert len(spans) + counters["governor.sampled_out.requests"] + cut == sum(answered) + 1
    assert counters["governor.sampled_out.requests"] > 0 and len(spans) > 0
    assert counters["governor.windows"] > 1
    ratios = {span.attributes.get("wirespan.sampling.ratio", 1) for span in spans}
    assert {1, 0.5, 0.25} <= ratios, ratios
