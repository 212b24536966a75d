"""OTLP/JSON lines, as `--json` and the Collector's file exporter write them, turned into something a test can ask."""

import json
from dataclasses import dataclass, field
from pathlib import Path

SERVER, CLIENT = 2, 3  # opentelemetry.proto.trace.v1.Span.SpanKind


@dataclass
class Span:
    trace: str
    id: str
    parent: str
    kind: int
    name: str
    start: int
    end: int
    attributes: dict
    resource: dict
    links: list = field(default_factory=list)
    status: int = 0
    trace_state: str = ""

    @property
    def service(self):
        return self.resource.get("service.name", "")

    @property
    def local_port(self):
        return self.attributes.get("network.local.port")

    @property
    def peer_port(self):
        return self.attributes.get("network.peer.port")

    @property
    def method(self):
        return self.attributes.get("wirespan.link.method", "")


def value_of(any_value):
    for kind, value in any_value.items():
        if kind == "intValue":
            return int(value)
        if kind == "arrayValue":
            return [value_of(item) for item in value.get("values", [])]
        return value
    return None


def attributes_of(pairs):
    return {pair["key"]: value_of(pair["value"]) for pair in pairs or []}


def parse_line(line):
    for group in json.loads(line).get("resourceSpans", []):
        resource = attributes_of(group.get("resource", {}).get("attributes"))
        for scope in group.get("scopeSpans", []):
            for span in scope.get("spans", []):
                kind = span.get("kind", 0)
                yield Span(
                    trace=span["traceId"], id=span["spanId"], parent=span.get("parentSpanId", ""),
                    kind={"SPAN_KIND_SERVER": SERVER, "SPAN_KIND_CLIENT": CLIENT}.get(kind, kind), name=span.get("name", ""),
                    start=int(span["startTimeUnixNano"]), end=int(span["endTimeUnixNano"]),
                    attributes=attributes_of(span.get("attributes")), resource=resource, links=span.get("links", []),
                    status=span.get("status", {}).get("code", 0), trace_state=span.get("traceState", ""))


def read_spans(file):
    """A last line without its newline is still being written, or its writer was killed: not counted."""
    if not Path(file).exists():
        return []
    with open(file, encoding="utf-8") as lines:
        return [span for line in lines if line.endswith("\n") for span in parse_line(line)]


class Forest:
    """All spans of a run, by id."""

    def __init__(self, spans):
        self.spans = spans
        self.by_id = {(span.trace, span.id): span for span in spans}

    def parent(self, span):
        return self.by_id.get((span.trace, span.parent)) if span.parent else None

    def ancestors(self, span):
        """From the span itself to the topmost one seen; bounded, so a cycle cannot hang a test."""
        path = [span]
        while (above := self.parent(path[-1])) and len(path) < 100:
            path.append(above)
        return path

    def not_nested(self):
        """(child, parent) pairs where a child begins before or ends after its parent."""
        pairs = ((span, self.parent(span)) for span in self.spans)
        return [(s, p) for s, p in pairs if p and not (p.start <= s.start <= s.end <= p.end)]

    def tree(self, trace):
        """Indented text of one trace, for messages."""
        spans = sorted((s for s in self.spans if s.trace == trace), key=lambda s: s.start)

        def lines(parent, depth):
            for span in spans:
                if span.parent == parent or (parent == "" and (span.trace, span.parent) not in self.by_id):
                    kind = {SERVER: "server", CLIENT: "client"}.get(span.kind, "?")
                    yield f"{'  ' * depth}{span.service} {kind} {span.name} :{span.local_port}<->{span.peer_port} {span.method}"
                    if depth < 50:
                        yield from lines(span.id, depth + 1)

        return "\n".join(lines("", 0))
