"""The kinds of service: how each is started, its variants and the bar each must meet."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from bed.setup import SERVICES, Toolchains, need


@dataclass(frozen=True)
class Variant:
    """workers and connections are functions of the concurrency."""
    name: str  # "" for a kind with one variant
    bar: str
    workers: Callable[[int], int]
    connections: Callable[[int], int]


def ample(concurrency):
    """More than ever wanted at once: five calls a request."""
    return 5 * concurrency + 4


def scarce(concurrency):
    """A quarter of the concurrency, so that requests wait from 16 on; at 1 the five calls of a request do."""
    return max(2, concurrency // 4)


@dataclass(frozen=True)
class Start:
    """What a kind's command may need besides the environment."""
    kind: str
    variant: Variant
    tools: Toolchains
    port: int
    backend_port: int
    workers: int
    connections: int
    run_dir: Path


@dataclass(frozen=True)
class Kind:
    name: str
    command: Callable[[Start], list]
    setup: Callable[[Toolchains], object]
    variants: tuple
    planned: bool = True  # False: one call per request, its body passed on unchanged
    env: dict = field(default_factory=dict)


def _one(bar, workers=lambda c: c, connections=ample):
    return (Variant("", bar, workers, connections),)


# A pool larger than the concurrency always has an idle worker, which a request wakes; one much smaller never has.
POOLS = (Variant("idle", "idle", lambda c: c + 4, ample), Variant("busy", "busy", scarce, ample))
# An event loop with connections in plenty, and with so few that calls queue for one.
LOOPS = (Variant("idle", "loop", lambda c: 1, ample), Variant("busy", "busy", lambda c: 1, scarce))

PYTHON_PATH = {"PYTHONPATH": str(SERVICES / "common"), "PYTHONDONTWRITEBYTECODE": "1"}


def _gunicorn(*options):
    return lambda s: [s.tools.python() / "gunicorn", "--chdir", SERVICES / "gunicorn_sync", "--bind", f"127.0.0.1:{s.port}",
                      "--backlog", "4096", "--log-level", "warning", "--timeout", "120",
                      *(o.format(workers=s.workers) for o in options), "app:app"]


def _go(s: Start):
    return [s.tools.go() / s.kind]


def _java(*options):
    def command(s: Start):
        java, *rest = s.tools.java(s.kind)
        return [java, *(o.format(connections=s.connections) for o in options), *rest]
    return command


def _kinds():
    yield Kind("gunicorn_sync", _gunicorn("--workers", "{workers}"), Toolchains.python,
               _one("direct", workers=lambda c: min(c + 1, 16)), env=PYTHON_PATH)
    yield Kind("go_direct", _go, Toolchains.go, _one("direct"))
    yield Kind("node", lambda s: ["node", SERVICES / "node" / "server.js"], lambda t: need("node"), LOOPS)
    yield Kind("java_pool_acceptor", _java("-Dhttp.maxConnections={connections}"),
               lambda t: t.java("java_pool_acceptor"), POOLS)


KINDS = {k.name: k for k in _kinds()}
