"""Context that is already there is respected: the trace goes on, the sender is the parent."""

from harness.agent import Agent
from harness.load import Connection
from harness.spans import SERVER

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
