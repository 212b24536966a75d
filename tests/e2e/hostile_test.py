"""Bad traffic among the targets: the agent neither falls over nor grows without bound, and still traces the good."""

import os
import random
import socket
import subprocess
import sys

from harness.agent import Agent
from harness.load import Connection, drive
from harness.spans import SERVER
from harness.stack import ODD_SERVERS, wait_until

GROWTH_KIB = 48 * 1024  # above what it had when ready; the budget of the whole is 50 MB

MALFORMED = {
    "noise": random.Random(1).randbytes(100_000),
    "length-overflow": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999999\r\n\r\nbody",
    "length-negative": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nbody",
    "two-lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nbody",
    "chunk-overflow": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFF\r\nxx",
    "chunk-not-hex": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n0\r\n\r\n",
    "no-colon": b"GET / HTTP/1.1\r\nthis line has none\r\n\r\n",
    "nul-bytes": b"GET /\x00\x00 HTTP/1.1\r\nX\x00: \x00\r\n\r\n",
    "bare-newlines": b"GET / HTTP/1.1\nHost: x\n\n",
    "only-newlines": b"\r\n" * 50_000,
    "many-headers": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 50_000 + b"\r\n",
    "long-target": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
    "long-method": b"A" * 200_000 + b" / HTTP/1.1\r\n\r\n",
    "cut-request-line": b"GET /half",
    "cut-header": b"GET / HTTP/1.1\r\nHost: exam",
    "not-utf-8": b"GET /\xff\xfe%ff HTTP/1.1\r\nHost: \xc3\x28\r\n\r\n",
    "pipelined-thousands": b"GET /p HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000,
    "http2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(1000),
}


def throw(service, payload):
    """Sends all of it, a byte at a time at first so that heads arrive in pieces, then hangs up."""
    with socket.create_connection((service.host, service.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for byte in payload[:64]:
                connection.send(bytes([byte]))
            connection.sendall(payload[64:])
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)
        except OSError:
            pass  # the service may hang up first


def still_traces(stack, agent, ledger, count=20):
    """The good requests made now; checked after the agent stopped."""
    assert agent.process.poll() is None, agent.stderr()
    drive(ledger, count, 2, "/book/good/")
    agent.stop()
    assert agent.process.returncode == 0, agent.stderr()
    good = [s for s in agent.spans() if s.kind == SERVER and s.attributes.get("url.path", "").startswith("/book/good/")]
    assert len(good) == count


def test_malformed_and_truncated(stack, ledger, odd_server):
    sponge = odd_server("sponge")
    with Agent(stack.directory, stack.selectors()) as agent:
        before = agent.resident_kib()
        for payload in MALFORMED.values():
            throw(sponge, payload)
            throw(ledger, payload)
        assert agent.resident_kib() - before < GROWTH_KIB
        still_traces(stack, agent, ledger)


def test_header_of_one_gibibyte(stack, ledger, odd_server):
    sponge = odd_server("sponge")
    piece = b"x" * (1 << 20)
    with Agent(stack.directory, stack.selectors()) as agent:
        before = agent.resident_kib()
        with socket.create_connection((sponge.host, sponge.port), timeout=60) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
            for _ in range(1024):
                connection.sendall(piece)
            connection.sendall(b"\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert agent.resident_kib() - before < GROWTH_KIB
        still_traces(stack, agent, ledger)


def test_a_hundred_thousand_idle_connections(stack, ledger, odd_server):
    crowd = odd_server("crowd")
    guests = []
    try:
        with Agent(stack.directory, stack.selectors()) as agent:
            before = agent.resident_kib()
            # Not traced, and each from an address of its own: connect() uses some 14,000 ports of one.
            for number in range(1, 9):
                command = [sys.executable, ODD_SERVERS, "guests", str(crowd.port), "13000", f"127.0.{number}.1"]
                guests.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            for guest in guests:
                assert guest.stdout.readline() == b"seated\n"
            grown = agent.resident_kib() - before
            print(f"104,000 connections: {grown} KiB more")
            assert grown < GROWTH_KIB
            still_traces(stack, agent, ledger)
    finally:
        for guest in guests:
            guest.stdin.close()
            guest.wait()


def test_fork_storm(stack, ledger, odd_server):
    count = 4_000
    with Agent(stack.directory, stack.selectors()) as agent:
        before = agent.resident_kib()
        descriptors = len(os.listdir(f"/proc/{agent.pid}/fd"))
        storm = odd_server("storm", count)
        sent = drive(storm, 200, 4)  # meanwhile it answers
        children = f"/proc/{storm.pid}/task/{storm.pid}/children"
        quiet = 0

        def over():
            nonlocal quiet
            quiet = 0 if open(children, encoding="ascii").read().strip() else quiet + 1
            return quiet > 10

        wait_until(over, "the storm to be over", 300)
        assert agent.resident_kib() - before < GROWTH_KIB
        assert len(os.listdir(f"/proc/{agent.pid}/fd")) - descriptors < 64
        still_traces(stack, agent, ledger)
    answered = [s for s in agent.spans() if s.kind == SERVER and s.local_port == storm.port]
    assert len(answered) == len(sent)


def test_half_answered_and_reset(stack, ledger, odd_server):
    """A request that is never answered is a span that says so."""
    hold = odd_server("hold", stack.directory / "never")
    with Agent(stack.directory, stack.selectors()) as agent:
        connection = Connection(hold.host, hold.port)
        connection.open()
        connection.socket.sendall(b"GET /odd/unanswered HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until((stack.directory / "never.got").exists, "the request to be read")
        # RST instead of FIN.
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.close()
        (stack.directory / "never").touch()
        still_traces(stack, agent, ledger)
    cut = [s for s in agent.spans() if s.attributes.get("url.path") == "/odd/unanswered"]
    assert len(cut) == 1
    assert cut[0].attributes.get("wirespan.incomplete") or cut[0].status == 2, cut[0]
