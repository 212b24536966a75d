"""Reads OTLP/JSON lines: what `wirespan trace --json` writes."""
import json
from dataclasses import dataclass, field
from pathlib import Path

SERVER, CLIENT = "server", "client"
_KINDS = {2: SERVER, 3: CLIENT, "SPAN_KIND_SERVER": SERVER, "SPAN_KIND_CLIENT": CLIENT}
METHOD, CONFIDENCE, UNLINKED = "wirespan.link.method", "wirespan.link.confidence", "wirespan.link.missing"


@dataclass
class Link:
    trace: str
    span: str
    method: str
    confidence: float | None


@dataclass
class Span:
    trace: str
    id: str
    parent: str  # "" for a root
    kind: str
    start: int  # wall ns
    end: int
    name: str
    service: str
    local_port: int
    peer_port: int
    method: str
    confidence: float | None
    unlinked: str = ""  # why it has no parent, in the agent's word
    links: list[Link] = field(default_factory=list)


def _value(value):
    for key, v in value.items():
        if key == "intValue":
            return int(v)
        if key in ("stringValue", "doubleValue", "boolValue"):
            return v
    return None


def _attributes(items):
    return {a["key"]: _value(a.get("value", {})) for a in items or []}


def _number(value):
    return None if value is None else float(value)


def read_spans(path: Path) -> list[Span]:
    spans = []
    with open(path) as file:
        for line in file:
            if not line.strip():
                continue
            for resource in json.loads(line).get("resourceSpans", []):
                service = _attributes(resource.get("resource", {}).get("attributes")).get("service.name", "")
                for scope in resource.get("scopeSpans", []):
                    spans += [_span(s, service) for s in scope.get("spans", [])]
    return spans


def _span(s, service) -> Span:
    a = _attributes(s.get("attributes"))
    links = []
    for link in s.get("links", []):
        la = _attributes(link.get("attributes"))
        links.append(Link(link.get("traceId", ""), link.get("spanId", ""), str(la.get(METHOD, "")),
                          _number(la.get(CONFIDENCE))))
    return Span(s["traceId"], s["spanId"], s.get("parentSpanId", ""), _KINDS.get(s.get("kind"), ""),
                int(s["startTimeUnixNano"]), int(s["endTimeUnixNano"]), s.get("name", ""), service,
                int(a.get("network.local.port") or 0), int(a.get("network.peer.port") or 0),
                str(a.get(METHOD, "")), _number(a.get(CONFIDENCE)), str(a.get(UNLINKED, "")), links)
