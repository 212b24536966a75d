"""The checker finds what it is there to find."""
import copy
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from check import check  # noqa: E402


def attributes(**pairs):
    kinds = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}
    out = []
    for key, value in pairs.items():
        if isinstance(value, list):
            value = {"arrayValue": {"values": [{"stringValue": v} for v in value]}}
        else:
            value = {kinds[type(value)]: str(value) if type(value) is int else value}
        out.append({"key": key.replace("__", "."), "value": value})
    return out


def good():
    return {"resourceSpans": [{
        "resource": {"attributes": attributes(service__name="a", telemetry__sdk__name="wirespan",
                                              telemetry__sdk__language="cpp", team="x")},
        "scopeSpans": [{"scope": {"name": "wirespan"}, "spans": [{
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "kind": 2, "name": "GET /a/{id}",
            "startTimeUnixNano": "10", "endTimeUnixNano": "20",
            "attributes": attributes(http__request__method="GET", url__path="/a/1", url__scheme="http",
                                     http__route="/a/{id}", http__response__status_code=200,
                                     http__request__header__accept=["x"], wirespan__link__confidence=1.0)}]}]}]}


def mistakes(change=lambda request, span: None):
    request = copy.deepcopy(good())
    change(request, request["resourceSpans"][0]["scopeSpans"][0]["spans"][0])
    return " | ".join(check([json.dumps(request)]).mistakes)


def with_attributes(**pairs):
    names = {key.replace("__", ".") for key in pairs}

    def change(_, span):
        span["attributes"] = [a for a in span["attributes"] if a["key"] not in names]
        span["attributes"] += attributes(**{k: v for k, v in pairs.items() if v is not None})
    return change


def test_a_good_span_passes():
    assert mistakes() == ""


def test_attributes_are_known_and_typed():
    assert "http.response.status_code is string, not int" in mistakes(with_attributes(http__response__status_code="200"))
    assert "http.request.header.accept is string, not string[]" in mistakes(
        with_attributes(http__request__header__accept="x"))
    assert "net.peer.name is deprecated" in mistakes(with_attributes(net__peer__name="x"))
    assert "made.up is not in the registry" in mistakes(with_attributes(made__up="x"))
    assert "wirespan.link.confidence is int" in mistakes(with_attributes(wirespan__link__confidence=1))
    assert "http.request.method is 'get', not one of" in mistakes(with_attributes(http__request__method="get"))
    assert "is there twice" in mistakes(lambda _, span: span["attributes"].append(span["attributes"][0]))


def test_resources_have_what_is_required():
    def drop(request, _):
        request["resourceSpans"][0]["resource"]["attributes"].pop(0)
    assert "service.name is missing" in mistakes(drop)

    def strange(request, _):
        request["resourceSpans"][0]["resource"]["attributes"] += attributes(process__made_up="x")
    assert "process.made_up is not in the registry" in mistakes(strange)


def test_names_kinds_and_times():
    assert "the name is not {method} {http.route}" in mistakes(lambda _, span: span.update(name="GET /a/1"))
    assert "kind must be SERVER or CLIENT" in mistakes(lambda _, span: span.update(kind=1))
    assert "ends before it starts" in mistakes(lambda _, span: span.update(endTimeUnixNano="5"))
    assert "traceId" in mistakes(lambda _, span: span.update(traceId="0" * 32))
    assert "its own parent" in mistakes(lambda _, span: span.update(parentSpanId=span["spanId"]))
    assert "url.full is missing" in mistakes(lambda _, span: span.update(kind=3))


def test_errors():
    assert "500 must be status Error" in mistakes(with_attributes(http__response__status_code=500))
    assert "status Ok" in mistakes(lambda _, span: span.update(status={"code": 1}))
    assert "come together" in mistakes(lambda _, span: span.update(status={"code": 2}))

    def client(_, span):
        with_attributes(http__response__status_code=404, http__route=None, url__template="/a/{id}", error__type="404",
                        server__address="h", server__port=80, url__full="http://h/a/1")(_, span)
        span.update(kind=3, status={"code": 2})
    assert mistakes(client) == ""


def test_urls():
    assert "url.full has credentials" in mistakes(with_attributes(url__full="http://a:b@h/"))
    assert mistakes(with_attributes(url__full="http://REDACTED:REDACTED@h/")) == ""
    assert "url.path has a query" in mistakes(with_attributes(url__path="/a?b"))
    assert "url.query begins" in mistakes(with_attributes(url__query="?a"))


def test_nonsense_is_a_mistake():
    assert "not a line of OTLP/JSON" in " ".join(check(["{", "[]"]).mistakes)
