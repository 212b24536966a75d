"""OTLP/JSON made from the logs, with links as good or bad as wanted.

To test the scorer, and to check that services and truth agree before there is an agent."""
import hashlib
import json
import random


def _id(size, *parts):
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:size]


def _attribute(key, value):
    kind = {str: "stringValue", int: "intValue", float: "doubleValue"}[type(value)]
    return {"key": key, "value": {kind: str(value) if kind == "intValue" else value}}


def server_id(request):
    return _id(16, "server", request.client_port, request.start)


def _trace_id(request):
    return _id(32, "trace", request.client_port, request.start)


def server_span(request):
    """As the service sees it: a little inside its client's times."""
    inset = min(1000, (request.end - request.start) // 4)
    return {"traceId": _trace_id(request), "spanId": server_id(request), "name": "POST " + request.path, "kind": 2,
            "startTimeUnixNano": str(request.start + inset), "endTimeUnixNano": str(request.end - inset),
            "attributes": [_attribute("network.peer.port", request.client_port),
                           _attribute("network.local.port", request.server_port)]}


def client_span(call, parent=None, method="synthetic", confidence=1.0, weak=None):
    """A call's span, under the parent request, or with a span link to the request `weak`."""
    span = {"traceId": _trace_id(parent) if parent else _id(32, "own", call.client_port, call.start),
            "spanId": _id(16, "client", call.client_port, call.start), "name": "POST " + call.path, "kind": 3,
            "startTimeUnixNano": str(call.start - 1000), "endTimeUnixNano": str(call.end + 1000),
            "attributes": [_attribute("network.local.port", call.client_port),
                           _attribute("network.peer.port", call.server_port)]}
    labels = [_attribute("wirespan.link.method", method), _attribute("wirespan.link.confidence", float(confidence))]
    if parent:
        span["parentSpanId"] = server_id(parent)
        span["attributes"] += labels
    elif weak:
        span["links"] = [{"traceId": _trace_id(weak), "spanId": server_id(weak), "attributes": labels}]
    return span


def perfect(requests, calls):
    by_token = {r.token: r for r in requests}
    return [server_span(r) for r in requests] + [client_span(c, by_token.get(c.token)) for c in calls]


def at_random(requests, calls, seed=1):
    """Each call under any of the requests that were open when it was made."""
    chooser = random.Random(seed)
    spans = [server_span(r) for r in requests]
    for call in calls:
        open_then = [r for r in requests if r.start <= call.start and call.end <= r.end]
        spans.append(client_span(call, chooser.choice(open_then), "random", 1 / len(open_then)))
    return spans


def write(path, spans, batch=100):
    resource = {"attributes": [_attribute("service.name", "synthetic")]}
    with open(path, "w") as file:
        for at in range(0, len(spans), batch):
            scope = {"spans": spans[at:at + batch]}
            file.write(json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}) + "\n")
