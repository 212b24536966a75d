"""Spans at a strict receiver, over each protocol, also when it dies in the middle."""

import pytest

from harness.agent import Agent
from harness.load import drive
from harness.sink import OtlpSink
from harness.stack import free_port

PROTOCOLS = ("grpc", "http/protobuf", "http/json")


@pytest.fixture
def sink(stack, request):
    started = []

    def start(**options):
        sink = OtlpSink.start(stack.directory, **options)
        if sink is None:
            pytest.skip("the OTLP sink's Python packages are not installed")
        started.append(sink)
        return sink

    yield start
    for sink in started:
        sink.stop()


def patient(stack, settings="flush: {silence: 1m, longest: 2m}"):
    """On a busy machine the receiver may take long to answer: no reason to end with spans undelivered."""
    config = stack.directory / "patient.yaml"
    config.write_text(f"export: {{{settings}}}\n")
    return "--config", config


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_span_is_accepted(stack, ledger, sink, protocol):
    receiver = sink()
    service = stack.flask(ledger.url, "gthread", threads=8)
    with Agent(stack.directory, stack.selectors(), "--otlp", receiver.url_for(protocol), *patient(stack),
               env={"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}) as agent:
        drive(service, 300, 8)
    assert agent.process.returncode == 0, agent.stderr()
    receiver.wait_for(900)
    assert receiver.rejected() == []
    here, there = agent.spans(), receiver.spans()
    assert sorted((s.trace, s.id, s.parent) for s in there) == sorted((s.trace, s.id, s.parent) for s in here)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_receiver_killed_and_restarted(stack, ledger, sink, protocol):
    """Nothing blocks, memory stays bounded, every span is delivered or counted as dropped, and export goes on."""
    ports = {"grpc_port": free_port(), "http_port": free_port()}
    first = sink(**ports)
    with Agent(stack.directory, stack.selectors(), "--otlp", first.url_for(protocol), *patient(stack), env={"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}) as agent:
        drive(ledger, 300, 8)
        before = agent.resident_kib()
        first.wait_for(1)
        first.kill()
        drive(ledger, 5000, 16)
        assert agent.resident_kib() - before < 32 * 1024
        second = sink(**ports)
        drive(ledger, 300, 8)
        second.wait_for(1)
    assert agent.process.returncode == 0, agent.stderr()
    # The receiver was back before the end, so nothing is given up at it, however much was waiting.
    assert agent.counters()["exporters.otlp.lost.shutdown"] == 0
    assert agent.counters()["exporters.otlp.lost.interrupted"] == 0
    assert len(agent.spans()) == 5600  # the other exporter never waited
    assert second.rejected() == []
    delivered = {(s.trace, s.id) for s in first.spans() + second.spans()}
    dropped = sum(value for name, value in agent.counters().items() if name.startswith("exporters.otlp.lost."))
    # A batch the dead receiver had taken without answering may be both written there and counted.
    assert len(delivered) + dropped >= 5600, agent.stderr()


def test_stopping_waits_for_a_slow_receiver_that_goes_on_taking(stack, ledger, sink):
    receiver = sink(fail=["inf*slow,delay=0.7"])
    slow = patient(stack, "queue: {batch_spans: 100}, flush: {silence: 5s, longest: 2m}")
    with Agent(stack.directory, stack.selectors(), "--otlp", receiver.url, *slow) as agent:
        drive(ledger, 1500, 8)
    assert agent.process.returncode == 0, agent.stderr()
    assert len(receiver.spans()) == 1500
    assert sum(value for name, value in agent.counters().items() if name.startswith("exporters.otlp.lost.")) == 0


def test_no_receiver_at_all(stack, ledger):
    with Agent(stack.directory, stack.selectors(), "--otlp", f"http://127.0.0.1:{free_port()}") as agent:
        drive(ledger, 2000, 8)
    assert agent.process.returncode is not None
    assert len(agent.spans()) == 2000
