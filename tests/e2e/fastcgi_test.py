"""A web server and PHP-FPM, FastCGI between them: over Unix sockets and TCP, with connections kept and not."""

import pytest

from harness.agent import Agent
from harness.load import Connection, drive
from harness.spans import CLIENT, SERVER, Forest
from harness.truth import judge


@pytest.mark.parametrize("keep", [False, True], ids=["close", "keep"])
@pytest.mark.parametrize("unix", [True, False], ids=["unix", "tcp"])
def test_php_fpm_behind_nginx(stack, ledger, unix, keep):
    fpm = stack.php_fpm(ledger.url, unix=unix)
    nginx = stack.nginx_fastcgi(fpm, keep=keep)
    with Agent(stack.directory, stack.selectors()) as agent:
        sent = drive(nginx, 300, 4, "/vat/")
    assert {request.status for request in sent} == {200}
    spans = agent.spans()
    verdict = judge(spans, sent, ledger.truth, hops=5)
    assert (verdict.right, verdict.wrong, verdict.doubled) == (300, 0, 0), verdict
    forest = Forest(spans)
    of_php = [span for span in spans if span.kind == SERVER and span.service.startswith("php")]
    assert len(of_php) == 300
    for span in of_php:
        call = forest.parent(span)
        assert (call.kind, span.method) == (CLIENT, "peer")
        for one in (span, call):
            assert one.attributes["http.request.method"] == "POST"
            assert one.attributes["http.response.status_code"] == 200
            assert one.attributes["network.protocol.name"] == "http"
            assert one.attributes["network.transport"] == ("unix" if unix else "tcp")
        assert span.attributes["client.address"] == "127.0.0.1"
        assert span.attributes["http.route"] == call.attributes["url.template"]
    made = [span for span in spans if span.kind == CLIENT and span.service.startswith("php")]
    assert {forest.parent(span).kind for span in made} == {SERVER}
    counters = agent.counters()
    assert counters.get("protocols.ignored.given_up", 0) == 0
    assert counters.get("protocols.dropped.buffer_overflow", 0) == 0


def test_a_traceparent_comes_as_a_variable(stack, ledger):
    """Only PHP is traced, so nothing but the header tells where its request comes from."""
    fpm = stack.php_fpm(ledger.url)
    nginx = stack.nginx_fastcgi(fpm)
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    connection = Connection(nginx.host, nginx.port)
    with Agent(stack.directory, ["--pid", str(fpm.pid)]) as agent:
        assert connection.request("/vat/1", headers=[f"traceparent: 00-{trace}-{parent}-01"])[0] == 200
    connection.close()
    spans = agent.spans()
    assert [(span.kind, span.trace) for span in sorted(spans, key=lambda span: span.start)] == [(SERVER, trace), (CLIENT, trace)]
    assert min(spans, key=lambda span: span.start).parent == parent


def test_requests_larger_than_what_is_copied(stack, ledger):
    """Variables behind the first KiB are missing, bodies and answers are passed over; nothing is wrong."""
    fpm = stack.php_fpm(ledger.url)
    nginx = stack.nginx_fastcgi(fpm, keep=True)
    connection = Connection(nginx.host, nginx.port)
    with Agent(stack.directory, stack.selectors()) as agent:
        for number in range(50):
            cookie = [f"Cookie: {'c' * 3000}"] if number % 2 else []
            assert connection.request(f"/vat/{number}", b"x" * 20000, headers=cookie)[0] == 200
    connection.close()
    spans = agent.spans()
    of_php = [span for span in spans if span.kind == SERVER and span.service.startswith("php")]
    assert sorted(span.attributes["url.path"] for span in of_php) == sorted(f"/vat/{number}" for number in range(50))
    forest = Forest(spans)
    for span in of_php:
        assert forest.parent(span).attributes["url.path"] == span.attributes["url.path"]
        assert span.attributes["http.request.body.size"] == 20000
