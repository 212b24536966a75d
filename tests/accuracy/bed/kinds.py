"""The kinds of service: how each is started, its variants and the bar each must meet."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from bed.setup import SERVICES, Toolchains, need, nginx, php_fpm


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
    background: bool = True  # it can also make calls that no request asked for
    planned: bool = True  # False: one call per request, its body passed on unchanged
    env: dict = field(default_factory=dict)


def _one(bar, workers=lambda c: c, connections=ample):
    return (Variant("", bar, workers, connections),)


# A pool larger than the concurrency always has an idle worker, which a request wakes; one much smaller never has.
POOLS = (Variant("idle", "idle", lambda c: c + 4, ample), Variant("busy", "busy", scarce, ample))
# An event loop with connections in plenty, and with so few that calls queue for one.
LOOPS = (Variant("idle", "loop", lambda c: 1, ample), Variant("busy", "busy", lambda c: 1, scarce))

# Ways in which an event loop goes on with another's work: what cannot be known must not be said.
# Calls handed over one by one to a pool with a thread for each, or too few; awaited all at once; one task for all of them.
FANS = tuple(Variant(f"{how}{'-busy' if busy else ''}", "busy" if busy else "idle", scarce if busy else ample, ample)
             for how in ("order", "all", "whole", "client", "join", "order-client", "latch", "completion") for busy in (False, True))
FANS += (Variant("threads", "idle", lambda c: 1, ample),)

HANDOVERS = tuple(Variant(name, "loop" if exact else "unsure", lambda c: 1, ample) for name, exact in (
    ("files", True), ("immediate", True), ("threads", True), ("callbacks", True), ("storage", True),
    ("lock", False), ("limit", False), ("pool", False), ("fetch", False), ("shared", False), ("batch", False), ("queue", False)))
# And such in which nothing is, with connections in plenty and few.
HANDOVERS += tuple(Variant(f"{how}{'-busy' if busy else ''}", "busy" if busy else "loop", lambda c: 1, scarce if busy else ample)
                   for how in ("between", "intervals") for busy in (False, True))

# How work is handed to a pool that makes the calls: first with workers in plenty, then with few.
ERRANDS = (*POOLS, *(Variant(name, "busy", scarce, ample) for name in ("map", "wait", "completed", "whole", "nested", "threads")))
# As much for queues of the program's own (services/python_queue).
QUEUES = (*POOLS, *(Variant(name, "busy", scarce, ample)
                    for name in ("whole", "replies", "deque", "stages", "shared", "pool")))

# And for asyncio's, which tasks take from (services/python_asyncio_queue).
TASKS = (*POOLS, *(Variant(name, "busy", scarce, ample) for name in ("whole", "gather", "stages", "lazy")))

# tokio's closures that may block, with a thread for each or too few. Loops that serve all requests are to be told apart.
CLOSURES = tuple(Variant(f"{how}{'-busy' if busy else ''}", "busy" if busy else "idle", scarce if busy else ample, ample)
                 for how in ("whole", "each", "order") for busy in (False, True))
CLOSURES += (Variant("spawned", "idle", ample, ample), Variant("in_place", "idle", ample, ample),
             *(Variant(name, "unsure", scarce if "busy" in name else ample, ample)
               for name in ("detached", "loops", "loops-busy", "block_on")))

PYTHON_PATH = {"PYTHONPATH": str(SERVICES / "common"), "PYTHONDONTWRITEBYTECODE": "1"}


def _gunicorn(*options, service="gunicorn_sync"):
    return lambda s: [s.tools.python() / "gunicorn", "--chdir", SERVICES / service,
                      "--bind", f"127.0.0.1:{s.port}", "--backlog", "4096",
                      "--log-level", "warning", "--timeout", "120",
                      *(o.format(workers=s.workers) for o in options), "app:app"]


def _python(s: Start):
    return [s.tools.python() / "python", SERVICES / s.kind / "server.py"]


def _python_variant(s: Start):
    return [*_python(s), s.variant.name]


def _uvicorn(s: Start):
    return [s.tools.python() / "uvicorn", "--app-dir", SERVICES / s.kind, "--host", "127.0.0.1", "--port", s.port,
            "--backlog", "4096", "--log-level", "warning", "app:app"]


def _go(s: Start):
    return [s.tools.go() / s.kind]


def _java(name, variants, at_least=17, background=True):
    def command(s: Start):
        java, *rest = s.tools.java(s.kind, at_least)
        return [java, f"-Dvariant={s.variant.name}", f"-Dhttp.maxConnections={s.connections}", "-Dsun.net.httpserver.nodelay=true", *rest]
    return Kind(name, command, lambda t: t.java(name, at_least), variants, background=background)


def _nginx(s: Start):
    return [nginx(), "-c", _filled_in(s, "nginx.conf")]


def _php_builtin(s: Start):
    return ["env", f"PHP_CLI_SERVER_WORKERS={s.workers}", "php", "-S", f"127.0.0.1:{s.port}",
            SERVICES / "php_builtin/index.php"]


def _php_fpm(s: Start):
    _filled_in(s, "nginx.conf")
    _filled_in(s, "fpm.conf")
    return [SERVICES / "php_fpm/start.sh", s.run_dir, php_fpm(), nginx()]


def _puma(s: Start):
    return ["puma", "--environment", "production", "--quiet", "--bind", f"tcp://127.0.0.1:{s.port}?backlog=4096",
            "--threads", f"{s.workers}:{s.workers}", SERVICES / s.kind / "config.ru"]


def _filled_in(s: Start, name) -> Path:
    """The kind's name.in with its @WORDS@ replaced, in the run's folder."""
    text = (SERVICES / s.kind / f"{name}.in").read_text()
    for word, value in (("RUN_DIR", s.run_dir), ("PORT", s.port), ("BACKEND_PORT", s.backend_port),
                        ("WORKERS", s.workers), ("CONNECTIONS", s.connections), ("SERVICES", SERVICES)):
        text = text.replace(f"@{word}@", str(value))
    out = s.run_dir / name
    out.write_text(text)
    return out


def _processes(concurrency):
    """Enough to work at once, without filling a small machine's memory."""
    return min(concurrency + 1, 16)


def _kinds():
    yield Kind("gunicorn_sync", _gunicorn("--workers", "{workers}"), Toolchains.python, _one("direct", _processes),
               env=PYTHON_PATH)
    yield Kind("gunicorn_gthread", _gunicorn("--worker-class", "gthread", "--workers", "2", "--threads", "{workers}"),
               Toolchains.python, _one("direct"), env=PYTHON_PATH)
    yield Kind("gunicorn_executor", _gunicorn("--worker-class", "gthread", "--workers", "2", "--threads", "{workers}",
                                              service="gunicorn_executor"),
               Toolchains.python, _one("direct"), env=PYTHON_PATH, background=False)
    yield Kind("gunicorn_gevent", _gunicorn("--worker-class", "gevent", "--workers", "1"), Toolchains.python,
               _one("loop"), env=PYTHON_PATH)
    yield Kind("python_threads", _python, Toolchains.python, _one("direct"), env=PYTHON_PATH)
    yield Kind("python_pool", _python, Toolchains.python, POOLS, env=PYTHON_PATH)
    yield Kind("python_executor", _python_variant, Toolchains.python, ERRANDS, env=PYTHON_PATH)
    yield Kind("python_queue", _python_variant, Toolchains.python, QUEUES, env=PYTHON_PATH)
    yield Kind("python_run_in_executor", _python_variant, Toolchains.python,
               (*POOLS, Variant("to_thread", "busy", scarce, ample), Variant("queue", "busy", scarce, ample)),
               env=PYTHON_PATH)
    yield Kind("python_asyncio", _python, Toolchains.python, LOOPS, env=PYTHON_PATH)
    yield Kind("python_asyncio_queue", _python_variant, Toolchains.python, TASKS, env=PYTHON_PATH)
    yield Kind("uvicorn", _uvicorn, Toolchains.python, LOOPS, env=PYTHON_PATH)
    yield Kind("fastapi_threads", _uvicorn, Toolchains.python, POOLS, env=PYTHON_PATH)
    yield Kind("node", lambda s: ["node", SERVICES / "node/server.js", s.variant.name], lambda t: need("node"),
               (*LOOPS, Variant("stream", "loop", lambda c: 1, ample)))
    yield Kind("node_fetch", lambda s: ["node", SERVICES / "node_fetch/server.js"], lambda t: need("node"),
               _one("loop"))
    yield Kind("node_undici", lambda s: ["env", f"NODE_PATH={s.tools.node(s.kind)}", "node", SERVICES / "node_undici/server.js"],
               lambda t: t.node("node_undici"), LOOPS)
    yield Kind("node_handover", lambda s: ["node", SERVICES / "node_handover/server.js", s.variant.name],
               lambda t: need("node"), HANDOVERS)
    yield Kind("go_direct", _go, Toolchains.go, _one("direct"))
    yield Kind("go_errgroup", lambda s: [*_go(s), s.variant.name], Toolchains.go,
               (*_one("direct"), Variant("nested", "direct", lambda c: c, ample)))
    yield Kind("go_workers", _go, Toolchains.go, POOLS)
    yield Kind("go_select", lambda s: [*_go(s), s.variant.name], Toolchains.go,
               (*POOLS, Variant("two", "busy", scarce, ample), Variant("lazy", "busy", scarce, ample)))
    yield Kind("go_dispatch", lambda s: [*_go(s), s.variant.name], Toolchains.go,
               (*POOLS, Variant("spawned", "idle", lambda c: c + 4, ample), Variant("spawned-busy", "busy", scarce, ample)))
    yield _java("java_pool_acceptor", POOLS)
    yield _java("java_httpserver", _one("direct", workers=lambda c: c + 4))
    yield _java("java_servlet", _one("direct", workers=lambda c: c + 4))
    yield _java("java_fanout", FANS, background=False)
    yield _java("java_virtual", (*_one("idle"), Variant("client", "idle", ample, ample)), at_least=21)
    yield _java("java_async", (*POOLS, Variant("blocking", "idle", lambda c: c + 4, ample),
                               Variant("blocking-busy", "busy", scarce, ample)), background=False)
    # Over Java's selectors, over Netty's own epoll, and over both.
    yield _java("java_netty", (*LOOPS, *(Variant(name, "loop", lambda c: 1, ample) for name in ("epoll", "mixed"))), background=False)
    yield _java("java_vertx", LOOPS, background=False)
    yield _java("java_vertx5", LOOPS, background=False)
    yield Kind("rust_tokio", lambda s: [s.tools.rust(s.kind)], lambda t: t.rust("rust_tokio"), _one("loop"),
               background=False)
    yield Kind("rust_tokio_spawn", lambda s: [s.tools.rust(s.kind)], lambda t: t.rust("rust_tokio_spawn"),
               _one("loop"), background=False)
    yield Kind("rust_tokio_queue", lambda s: [s.tools.rust(s.kind), s.variant.name], lambda t: t.rust("rust_tokio_queue"),
               (*POOLS, Variant("whole", "idle", lambda c: c + 4, ample), Variant("whole-busy", "busy", scarce, ample)),
               background=False)
    yield Kind("rust_tokio_blocking", lambda s: [s.tools.rust(s.kind), s.variant.name],
               lambda t: t.rust("rust_tokio_blocking"), CLOSURES, background=False)
    yield Kind("nginx", _nginx, lambda t: nginx(), _one("loop"), planned=False,
               background=False)
    yield Kind("haproxy", lambda s: ["haproxy", "-db", "-f", _filled_in(s, "haproxy.cfg")], lambda t: need("haproxy"),
               LOOPS, planned=False, background=False)
    yield Kind("apache", lambda s: ["apache2", "-f", _filled_in(s, "apache.conf"), "-DFOREGROUND"],
               lambda t: need("apache2"), _one("direct"), planned=False, background=False)
    yield Kind("envoy", lambda s: [s.tools.python() / "envoy", "--log-level", "warning", "--concurrency", "2",
                                   "--use-dynamic-base-id", "-c", _filled_in(s, "envoy.yaml")],
               Toolchains.python, LOOPS, planned=False, background=False)
    yield Kind("php_builtin", _php_builtin, lambda t: need("php"), _one("direct", _processes), background=False)
    yield Kind("php_fpm", _php_fpm, lambda t: (php_fpm(), nginx()), _one("direct", _processes),
               background=False)
    for kind, bar in (("ruby_puma", "direct"), ("ruby_threads", "idle")):
        yield Kind(kind, _puma, lambda t: need("puma"), _one(bar, workers=lambda c: min(c, 64)), background=False)


KINDS = {k.name: k for k in _kinds()}
