#!/usr/bin/env python3
"""Holds spans against the OpenTelemetry semantic conventions.

    tests/semconv/check.py FILE.jsonl...      lines of OTLP/JSON, as `wirespan trace --json FILE` writes them

Exit status 1 and a line per kind of mistake (with how often, and one example) when there is any. The model of attributes
is model.json; what the conventions say about names, kinds, required attributes and status of HTTP spans is below
("HTTP spans", "Recording errors"). wirespan's own attributes (wirespan.*) must be of a known type.
"""
import json
import re
import sys
from collections import Counter
from pathlib import Path

MODEL = json.loads((Path(__file__).parent / "model.json").read_text())
ATTRIBUTES = MODEL["attributes"]
TEMPLATES = {name: entry for name, entry in ATTRIBUTES.items() if entry.get("template")}
# Where only the registry's names are allowed. A process may put others of its own into OTEL_RESOURCE_ATTRIBUTES.
OURS = ("container.", "host.", "os.", "process.", "service.", "telemetry.")

OWN = {
    "wirespan.incomplete": "string", "wirespan.link.candidates": "int", "wirespan.link.confidence": "double",
    "wirespan.link.method": "string", "wirespan.link.missing": "string", "wirespan.request.last_byte_ns": "int",
    "wirespan.response.first_byte_ns": "int", "wirespan.synthetic": "bool", "wirespan.trace.completeness": "double",
    "wirespan.trace.lost": "int", "wirespan.trace.untraced": "int",
}
SERVER, CLIENT = 2, 3
UNSET, OK, ERROR = 0, 1, 2
KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
TYPES = {"stringValue": "string", "intValue": "int", "doubleValue": "double", "boolValue": "bool"}


def value_of(any_value):
    """(type, value) of an OTLP/JSON AnyValue."""
    if "arrayValue" in any_value:
        elements = [value_of(v) for v in any_value["arrayValue"].get("values", [])]
        kinds = {kind for kind, _ in elements}
        return (kinds.pop() if len(kinds) == 1 else "mixed") + "[]", [value for _, value in elements]
    for field, kind in TYPES.items():
        if field in any_value:
            value = any_value[field]
            return kind, int(value) if kind == "int" else value
    return "empty", None


def entry_for(key):
    if key in ATTRIBUTES and not ATTRIBUTES[key].get("template"):
        return ATTRIBUTES[key]
    return next((entry for name, entry in TEMPLATES.items() if key.startswith(name + ".")), None)


class Checker:
    def __init__(self):
        self.mistakes = Counter()
        self.examples = {}
        self.spans = 0

    def wrong(self, what, example):
        self.mistakes[what] += 1
        self.examples.setdefault(what, example)

    # --- attributes

    def attributes(self, listed, where, example, unknown_allowed=False):
        found = {}
        for pair in listed:
            key = pair.get("key", "")
            kind, value = value_of(pair.get("value", {}))
            if key in found:
                self.wrong(f"{where}: {key} is there twice", example)
            found[key] = value
            self.attribute(key, kind, value, where, example, unknown_allowed)
        return found

    def attribute(self, key, kind, value, where, example, unknown_allowed):
        if key.startswith("wirespan."):
            if OWN.get(key, kind) != kind:
                self.wrong(f"{where}: {key} is {kind}, not {OWN[key]}", example)
            elif not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", key):
                self.wrong(f"{where}: {key} is no attribute name", example)
            return
        entry = entry_for(key)
        if entry is None:
            if key in MODEL["deprecated"]:
                self.wrong(f"{where}: {key} is deprecated: {MODEL['deprecated'][key]}", example)
            elif not unknown_allowed or key.startswith(OURS):
                self.wrong(f"{where}: {key} is not in the registry (or not in model.json)", example)
            return
        if kind != entry["type"]:
            self.wrong(f"{where}: {key} is {kind}, not {entry['type']}", example)
        elif kind == "string" and not value:
            self.wrong(f"{where}: {key} is empty", example)
        elif "values" in entry and not entry["open"] and value not in entry["values"]:
            self.wrong(f"{where}: {key} is {value!r}, not one of {', '.join(entry['values'])}", example)
        if key.endswith(".port") and isinstance(value, int) and not 0 < value < 65536:
            self.wrong(f"{where}: {key} is {value}", example)

    # --- OTLP

    def resource(self, resource):
        example = json.dumps(resource)[:200]
        found = self.attributes(resource.get("attributes", []), "resource", example, unknown_allowed=True)
        for key in ("service.name", "telemetry.sdk.name", "telemetry.sdk.language"):
            if key not in found:
                self.wrong(f"resource: {key} is missing", example)
        if found.get("telemetry.sdk.name") == "opentelemetry":
            self.wrong("resource: telemetry.sdk.name \"opentelemetry\" is reserved for its own SDKs", example)
        instance = found.get("service.instance.id", "")
        if instance and not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", instance):
            self.wrong("resource: service.instance.id is no UUID", example)

    def span(self, span):
        self.spans += 1
        example = f"{span.get('name')!r} trace {span.get('traceId')} span {span.get('spanId')}"
        kind = span.get("kind", 0)
        where = f"{KINDS.get(kind, kind)} span"
        self.identity(span, where, example)
        found = self.attributes(span.get("attributes", []), where, example)
        for link in span.get("links", []):
            self.ids(link.get("traceId", ""), link.get("spanId", ""), f"{where}: link", example)
            self.attributes(link.get("attributes", []), f"{where}: link", example)
        for event in span.get("events", []):
            self.attributes(event.get("attributes", []), f"{where}: event", example)
        status = span.get("status", {})
        if status.get("code", UNSET) == OK:
            self.wrong(f"{where}: status Ok is for applications to set, not for instrumentation", example)
        if status.get("message") and status.get("code", UNSET) != ERROR:
            self.wrong(f"{where}: a status message without status Error", example)
        if ("error.type" in found) != (status.get("code", UNSET) == ERROR):
            self.wrong(f"{where}: error.type and status Error come together", example)
        if any(key.startswith(("http.re", "http.route")) for key in found):
            self.http(span, kind, found, status, where, example)

    def ids(self, trace, span, where, example):
        if not re.fullmatch(r"[0-9a-f]{32}", trace) or set(trace) == {"0"}:
            self.wrong(f"{where}: traceId is not 32 lower-case hex digits, or zero", example)
        if not re.fullmatch(r"[0-9a-f]{16}", span) or set(span) == {"0"}:
            self.wrong(f"{where}: spanId is not 16 lower-case hex digits, or zero", example)

    def identity(self, span, where, example):
        self.ids(span.get("traceId", ""), span.get("spanId", ""), where, example)
        parent = span.get("parentSpanId", "")
        if parent and not re.fullmatch(r"[0-9a-f]{16}", parent):
            self.wrong(f"{where}: parentSpanId is not 16 hex digits", example)
        if parent and parent == span.get("spanId"):
            self.wrong(f"{where}: its own parent", example)
        if span.get("kind") not in KINDS:
            self.wrong(f"span: kind {span.get('kind')}", example)
        if not span.get("name"):
            self.wrong(f"{where}: no name", example)
        start, end = int(span.get("startTimeUnixNano", 0)), int(span.get("endTimeUnixNano", 0))
        if start <= 0 or end < start:
            self.wrong(f"{where}: ends before it starts, or has no time", example)

    # --- HTTP

    def http(self, span, kind, found, status, where, example):
        where = f"HTTP {where}"
        if kind not in (SERVER, CLIENT):
            return self.wrong(f"{where}: kind must be SERVER or CLIENT", example)
        required = {SERVER: ("http.request.method", "url.path", "url.scheme"),
                    CLIENT: ("http.request.method", "server.address", "server.port", "url.full")}[kind]
        # What was not seen cannot be told: such a span says so.
        if "wirespan.incomplete" not in found and found.get("http.request.method") != "CONNECT":
            for key in required:
                if key not in found:
                    self.wrong(f"{where}: {key} is missing", example)
        self.http_name(span, kind, found, where, example)
        self.http_method(found, where, example)
        self.http_status(kind, found, status, where, example)
        self.urls(found, where, example)

    def http_name(self, span, kind, found, where, example):
        method = found.get("http.request.method", "_OTHER")
        word = "HTTP" if method == "_OTHER" else method
        target = found.get("http.route" if kind == SERVER else "url.template")
        expected = f"{word} {target}" if target else word
        if span.get("name") != expected:
            self.wrong(f"{where}: the name is not {{method}} {{{'http.route' if kind == SERVER else 'url.template'}}}",
                       f"{example}: expected {expected!r}")
        if kind == CLIENT and "http.route" in found:
            self.wrong(f"{where}: http.route is for servers", example)
        if kind == SERVER and "url.template" in found:
            self.wrong(f"{where}: url.template is for clients", example)

    def http_method(self, found, where, example):
        original, method = found.get("http.request.method_original"), found.get("http.request.method")
        if method == "_OTHER" and not original and "wirespan.incomplete" not in found:
            self.wrong(f"{where}: _OTHER without http.request.method_original", example)
        if original is not None and original == method:
            self.wrong(f"{where}: http.request.method_original is the method itself", example)

    def http_status(self, kind, found, status, where, example):
        code, error = found.get("http.response.status_code"), status.get("code", UNSET) == ERROR
        if code is None:
            return
        if not 100 <= code <= 599:
            self.wrong(f"{where}: http.response.status_code {code}", example)
        failed = code >= 500 or (kind == CLIENT and code >= 400)
        if failed and not error:
            self.wrong(f"{where}: {code} must be status Error", example)
        if failed and "wirespan.incomplete" not in found and found.get("error.type") != str(code):
            self.wrong(f"{where}: error.type of a failed response is its status code", example)
        if error and not failed and found.get("error.type") == str(code):
            self.wrong(f"{where}: {code} is no error", example)
        if failed and status.get("message"):
            self.wrong(f"{where}: a status message where the status code says it all", example)

    def urls(self, found, where, example):
        full, query, path = found.get("url.full"), found.get("url.query"), found.get("url.path")
        if full and not re.match(r"[a-z][a-z0-9+.-]*://", full):
            self.wrong(f"{where}: url.full is not absolute", example)
        if full and re.match(r"[a-z]+://(?!REDACTED(:REDACTED)?@)[^/?#]*@", full):
            self.wrong(f"{where}: url.full has credentials", example)
        if query and query.startswith("?"):
            self.wrong(f"{where}: url.query begins with '?'", example)
        if path and "?" in path:
            self.wrong(f"{where}: url.path has a query", example)
        if found.get("network.protocol.name", "").lower() != found.get("network.protocol.name", ""):
            self.wrong(f"{where}: network.protocol.name is lower case", example)
        if found.get("network.protocol.name") == "http" and "network.protocol.version" not in found:
            self.wrong(f"{where}: network.protocol.name \"http\" is not set without a version", example)

    def request(self, request):
        for group in request.get("resourceSpans", []):
            self.resource(group.get("resource", {}))
            for scope in group.get("scopeSpans", []):
                if not scope.get("scope", {}).get("name"):
                    self.wrong("scope: no name", json.dumps(scope.get("scope", {})))
                for span in scope.get("spans", []):
                    self.span(span)


def check(lines):
    checker = Checker()
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                checker.request(json.loads(line))
            except (ValueError, AttributeError, TypeError) as problem:
                checker.wrong(f"not a line of OTLP/JSON: {problem}", f"line {number}")
    return checker


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    checker = check(line for name in sys.argv[1:] for line in Path(name).open())
    for what, count in checker.mistakes.most_common():
        print(f"{count:6} x {what}\n         {checker.examples[what]}")
    print(f"{checker.spans} spans, {sum(checker.mistakes.values())} mistakes, conventions {MODEL['version']}")
    if checker.mistakes or checker.spans == 0:
        sys.exit(1)


if __name__ == "__main__":
    main()
