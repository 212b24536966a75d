"""Context that is already there is respected: the trace goes on, the sender is the parent."""

import sys

import pytest

from harness.agent import Agent
from harness.load import Connection
from harness.spans import CLIENT, SERVER
from harness.stack import free_port

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def first_spans(stack, *requests):
    """Sends each (path, headers) to a Flask service; the SERVER span of each by path."""
    service = stack.flask()
    with Agent(stack.directory, stack.selectors()) as agent:
        connection = Connection(service.host, service.port)
        for path, headers in requests:
            assert connection.request(path, headers=headers)[0] == 200
        connection.close()
    return {span.attributes["url.path"]: span for span in agent.spans() if span.kind == SERVER}


def test_traceparent_and_tracestate(stack):
    spans = first_spans(
        stack,
        ("/orders/1", [f"traceparent: 00-{TRACE}-{PARENT}-01", "tracestate: vendor=value"]),
        ("/orders/2", [f"TraceParent: 00-{TRACE}-{PARENT}-00"]),
        ("/orders/3", [f"traceparent: 00-{'0' * 32}-{PARENT}-01"]),  # invalid: all-zero trace id
        ("/orders/4", []),
    )
    assert (spans["/orders/1"].trace, spans["/orders/1"].parent) == (TRACE, PARENT)
    assert spans["/orders/1"].method == "traceparent"
    assert spans["/orders/1"].trace_state == "vendor=value"
    assert (spans["/orders/2"].trace, spans["/orders/2"].parent) == (TRACE, PARENT)
    for path in ("/orders/3", "/orders/4"):
        assert spans[path].trace != TRACE
        assert not spans[path].parent


def test_b3_single_and_multi(stack):
    spans = first_spans(
        stack,
        ("/orders/1", [f"b3: {TRACE}-{PARENT}-1"]),
        ("/orders/2", [f"X-B3-TraceId: {TRACE}", f"X-B3-SpanId: {PARENT}", "X-B3-Sampled: 1"]),
        ("/orders/3", [f"X-B3-TraceId: {TRACE[16:]}", f"X-B3-SpanId: {PARENT}"]),  # 64-bit trace id
    )
    for path in ("/orders/1", "/orders/2"):
        assert (spans[path].trace, spans[path].parent, spans[path].method) == (TRACE, PARENT, "b3")
    assert spans["/orders/3"].trace == "0" * 16 + TRACE[16:]


# A service that answers after three calls, one after the other: what the W3C suite's AdvancedTest asks of a service.
THREE_CALLS = """
import http.server, sys, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        for _ in range(3):
            urllib.request.urlopen(sys.argv[2]).read()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.parametrize(
    ("headers", "goes_on"),
    [([f"traceparent: 00-{TRACE}-{PARENT}-01"], True), ([], False), ([f"traceparent: 00-{'0' * 32}-{PARENT}-01"], False)],
    ids=["valid", "without", "illegal"],
)
def test_three_calls_for_one_request(stack, ledger, headers, goes_on):
    port = free_port()
    service = stack.start("three", [sys.executable, "-c", THREE_CALLS, port, f"{ledger.url}/1"], ("127.0.0.1", port))
    with Agent(stack.directory, stack.selectors()) as agent:
        connection = Connection(service.host, service.port)
        assert connection.request("/", headers=headers)[0] == 200
        connection.close()
    spans = agent.spans()
    served = next(span for span in spans if span.kind == SERVER and span.local_port == port)
    calls = [span for span in spans if span.kind == CLIENT]
    assert (served.trace == TRACE) == goes_on
    assert int(served.trace, 16) != 0
    assert {(call.trace, call.parent) for call in calls} == {(served.trace, served.id)}
    assert len({call.id for call in calls}) == 3
