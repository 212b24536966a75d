"""Every way a connection can be: Unix, IPv6, older than the agent, through NAT between network namespaces."""

from harness.agent import Agent
from harness.load import Connection, drive
from harness.namespaces import Natted, inside
from harness.spans import CLIENT, SERVER, Forest
from harness.truth import judge


def test_unix_socket_between_nginx_and_gunicorn(stack, ledger):
    flask = stack.flask(ledger.url, unix=True)
    nginx = stack.nginx(f"unix:{flask.address}")
    with Agent(stack.directory, stack.selectors()) as agent:
        sent = drive(nginx, 100, 1, "/orders/")
    spans = agent.spans()
    verdict = judge(spans, sent, ledger.truth, hops=5)
    assert verdict.right == 100, verdict
    over_unix = [span for span in spans if span.attributes.get("network.transport") == "unix"]
    assert len(over_unix) == 200  # nginx's CLIENT and gunicorn's SERVER span of each


def test_ipv6(stack):
    ledger = stack.ledger(truth=stack.directory / "truth", host="::1")
    flask = stack.flask(ledger.url, host="::1")
    with Agent(stack.directory, stack.selectors()) as agent:
        sent = drive(flask, 100, 1)
    spans = agent.spans()
    verdict = judge(spans, sent, stack.directory / "truth", hops=3)
    assert verdict.right == 100, verdict
    assert {span.attributes["network.peer.address"] for span in spans} == {"::1"}
    assert {span.attributes["network.type"] for span in spans} == {"ipv6"}


def test_connections_older_than_the_agent(stack, ledger):
    """Also joined in the middle of a body that looks like a request, which must not become a span."""
    service = stack.java(ledger.url, "TaxThreads")
    nginx = stack.nginx(f"127.0.0.1:{service.port}")
    old, cut = Connection(nginx.host, nginx.port), Connection(nginx.host, nginx.port)
    assert old.request("/tax/0", b"x" * 100)[0] == 200  # also opens nginx's connection to its upstream

    lie = b"GET /not-a-request HTTP/1.1\r\nHost: nowhere\r\n\r\n"
    cut.open()
    cut.socket.sendall(b"POST /tax/cut HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (3 * len(lie)) + lie)
    with Agent(stack.directory, stack.selectors()) as agent:
        cut.socket.sendall(lie * 2)
        assert cut._response()[0] == 200
        for number in range(1, 51):
            assert old.request(f"/tax/{number}", b"y" * 2000)[0] == 200
    old.close()
    cut.close()
    # A connection's first request is exported later than its next ones: its caller's spans might still come.
    spans = sorted(agent.spans(), key=lambda span: span.start)
    paths = [span.attributes.get("url.path") for span in spans if span.kind == SERVER and span.local_port == nginx.port]
    assert "/not-a-request" not in {span.attributes.get("url.path") for span in spans}
    assert [path for path in paths if path and path != "/tax/cut"] == [f"/tax/{number}" for number in range(1, 51)]
    forest = Forest(spans)
    for span in spans:
        if span.kind == SERVER and span.local_port == service.port and span.attributes.get("url.path") in paths[-49:]:
            assert forest.ancestors(span)[-1].local_port == nginx.port, forest.tree(span.trace)


def test_ids_agree_through_dnat_and_masquerade(stack):
    """Client and server live in two network namespaces, a router between them rewrites both addresses and both ports."""
    with Natted(server_port=18080) as net:
        truth = stack.directory / "truth"
        ledger = inside(net.server, lambda: stack.ledger(truth, host=net.server_address, port=net.server_port))
        virtual = f"http://{net.virtual_address}:{net.virtual_port}/book"
        flask = inside(net.client, lambda: stack.flask(virtual, "gthread", threads=8))
        with Agent(stack.directory, stack.selectors()) as agent:
            sent = inside(net.client, lambda: drive(flask, 100, 8))
    spans = agent.spans()
    verdict = judge(spans, sent, stack.directory / "truth", hops=3)
    assert verdict.right == 100, verdict
    forest = Forest(spans)
    for server in (span for span in spans if span.kind == SERVER and span.local_port == ledger.port):
        client = forest.parent(server)
        assert client.kind == CLIENT
        assert client.attributes["network.peer.address"] == net.virtual_address
        assert client.peer_port == net.virtual_port != server.local_port
        assert server.attributes["network.peer.address"] != client.attributes["network.local.address"]
