"""Starts real servers on free loopback ports, inside one cgroup and one temporary directory, and stops them all."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .cgroups import Cgroup

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ROOT / "tests" / "services"
ODD_SERVERS = ROOT / "tests" / "e2e" / "odd_servers.py"
# A JVM on a busy two-core machine; an emulated one says more (vmtests/guest/main.py).
START_SECONDS = int(os.environ.get("WIRESPAN_TEST_START_SECONDS", "60"))


class NotHere(Exception):
    """A runtime or server this machine does not have: the caller leaves the service out and says so."""


def need(*names):
    """Path of the first program found; NotHere names them all."""
    for name in names:
        if path := shutil.which(name, path=os.environ["PATH"] + ":/usr/local/go/bin:/usr/sbin:/sbin"):
            return path
    raise NotHere(" or ".join(names))


def free_port(host="127.0.0.1"):
    """Handed out below the ephemeral range, so that no client's port can take it before its server does."""
    for _ in range(1000):
        free_port.last = free_port.last + 1 if free_port.last < 31000 else 20000
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            try:
                probe.bind((host, free_port.last))
                return free_port.last
            except OSError:
                continue
    raise RuntimeError("no free port between 20000 and 31000")


free_port.last = 20000 + os.getpid() * 37 % 11000


def wait_until(condition, what, seconds=START_SECONDS):
    """Polls; TimeoutError says what was waited for. For readiness only, never to assert speed."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.02)
    return result


def accepts(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address)
            return True
        except OSError:
            return False


class Service:
    def __init__(self, name, process, address, path, log):
        self.name, self.process, self.address, self.log = name, process, address, log
        self.pid = process.pid
        self.host, self.port = address if isinstance(address, tuple) else ("", 0)
        host = f"[{self.host}]" if ":" in self.host else self.host
        self.url = f"http://{host}:{self.port}{path}" if self.port else ""

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Stack:
    """Context manager. Every start_* method returns a Service that already accepts connections."""

    def __init__(self, label="test"):
        self.cgroup = Cgroup(label)
        self.directory = Path(tempfile.mkdtemp(prefix=f"wirespan-{label}-"))
        self.directory.chmod(0o755)  # servers that change their user must get in
        self.services = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for service in self.services:
            if service.process.poll() is None:
                service.process.send_signal(signal.SIGTERM)
        self.cgroup.close()
        for service in self.services:
            service.stop()
        self.services = []
        shutil.rmtree(self.directory, ignore_errors=True)

    def selectors(self):
        """Arguments that make the agent trace this stack and nothing else."""
        if self.cgroup:
            return ["--cgroup", str(self.cgroup.path)]
        return [argument for service in self.services for argument in ("--pid", str(service.pid))]

    def start(self, name, command, address, path="", env=None):
        log = self.directory / f"{name}-{len(self.services)}.log"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                self.cgroup.enter_command([str(part) for part in command]), stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, cwd=self.directory, env={**os.environ, **(env or {})})
        service = Service(name, process, address, path, log)
        self.services.append(service)
        self._wait(service)
        return service

    def _wait(self, service):
        def up():
            if service.process.poll() is not None:
                raise RuntimeError(f"{service.name} ended at start:\n{service.log.read_text(errors='replace')[-2000:]}")
            return accepts(service.address)

        wait_until(up, f"{service.name} to listen on {service.address}")

    # The plain services of tests/services. `next_url` is what each asks before it answers.

    def ledger(self, truth=None, host="127.0.0.1", port=None):
        port = port or free_port(host)
        env = {"LISTEN": f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "TRUTH": str(truth or "")}
        return self.start("ledger", [sys.executable, SERVICES / "ledger.py"], (host, port), "/book", env)

    def flask(self, next_url="", worker="sync", workers=1, threads=1, unix=False, host="127.0.0.1", queued=0):
        python = gunicorn_python()
        port = 0 if unix else free_port(host)
        socket_path = str(self.directory / "flask.sock")
        bind = f"unix:{socket_path}" if unix else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return self.start(
            "flask",
            [python, "-m", "gunicorn", "--bind", bind, "--worker-class", worker, "--workers", workers, "--threads", threads,
             "--keep-alive", 60, "--backlog", 1024, "--chdir", SERVICES, "flask_orders:app"],
            socket_path if unix else (host, port), "/orders",
            {"NEXT": next_url, "QUEUED": str(queued), "PYTHONDONTWRITEBYTECODE": "1"})

    def go(self, next_url="", direct=False, host="127.0.0.1", copy_to=None):
        """`copy_to`: run a copy of that name in the stack's directory, for selection by executable."""
        program = shutil.copy(built_go(), self.directory / copy_to) if copy_to else built_go()
        port = free_port(host)
        env = {"NEXT": next_url, "LISTEN": f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "DIRECT": "1" if direct else ""}
        return self.start("go", [program], (host, port), "/stock", env)

    def node(self, next_url="", host="127.0.0.1", pause_ms=0):
        port = free_port(host)
        env = {"NEXT": next_url, "PAUSE": str(pause_ms), "LISTEN": f"[{host}]:{port}" if ":" in host else f"{host}:{port}"}
        return self.start("node", [need("node", "nodejs"), SERVICES / "price.js"], (host, port), "/price", env)

    def java(self, next_url="", program="Tax"):
        port = free_port()
        env = {"NEXT": next_url, "LISTEN": f"127.0.0.1:{port}"}
        # Serial GC and the first compiler tier only: four JVM service threads fewer and half the start-up time.
        command = [need("java"), "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", built_java(), program]
        return self.start("java", command, ("127.0.0.1", port), "/tax", env)

    def php(self, next_url="", workers=8):
        port = free_port()
        env = {"NEXT": next_url, "PHP_CLI_SERVER_WORKERS": str(workers)}
        command = [need("php"), "-S", f"127.0.0.1:{port}", SERVICES / "vat.php"]
        return self.start("php", command, ("127.0.0.1", port), "/vat", env)

    def php_fpm(self, next_url="", workers=8, unix=True):
        """Answers FastCGI: `fastcgi` is what nginx's fastcgi_pass takes."""
        address = str(self.directory / "fpm.sock") if unix else ("127.0.0.1", free_port())
        listen = address if unix else f"127.0.0.1:{address[1]}"
        config = self.directory / "fpm.conf"
        config.write_text("\n".join((
            "[global]", "daemonize = no", f"error_log = {self.directory}/fpm.log", "[www]", "user = root", "group = root",
            f"listen = {listen}", "listen.backlog = 1024", "pm = static", f"pm.max_children = {workers}", "clear_env = no", "")))
        names = ["php-fpm", *(path.name for path in sorted(Path("/usr/sbin").glob("php-fpm*")))]
        command = [need(*names), "--allow-to-run-as-root", "--fpm-config", config]
        service = self.start("php-fpm", command, address, env={"NEXT": next_url})
        service.fastcgi = f"unix:{address}" if unix else listen
        return service

    def nginx_fastcgi(self, fpm, keep=False, params=""):
        """A web server in front of it, with the variables of Debian's fastcgi_params."""
        pool = f"upstream php {{ server {fpm.fastcgi}; keepalive 16; }}"
        return self.nginx("", http=pool, extra=f"""location / {{
            include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {SERVICES}/vat.php; {params}
            fastcgi_pass php; fastcgi_keep_conn {'on' if keep else 'off'}; }}""")

    def nginx(self, upstream, location="", host="127.0.0.1", listen=None, workers=1, extra="", http=""):
        """A reverse proxy in front of `upstream`, "127.0.0.1:80" or "unix:/path"; requests keep their path."""
        port = listen or free_port(host)
        config = self.directory / f"nginx-{port}.conf"
        bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        config.write_text(f"""
            daemon off; user root; worker_processes {workers}; pid {self.directory}/nginx-{port}.pid;
            error_log stderr warn;
            events {{ worker_connections 4096; }}
            http {{
              access_log off; keepalive_requests 100000000; default_type text/plain;
              client_body_temp_path {self.directory}/body; proxy_temp_path {self.directory}/proxy;
              fastcgi_temp_path {self.directory}/f; uwsgi_temp_path {self.directory}/u; scgi_temp_path {self.directory}/s;
              {http}
              {f"upstream next {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}" if upstream else ""}
              server {{
                listen {bind} backlog=1024;
                {extra}
                {f'location / {{ proxy_pass http://next{location}; proxy_http_version 1.1; proxy_set_header Connection ""; }}' if upstream else ""}
              }}
            }}""")
        return self.start("nginx", [need("nginx"), "-e", "stderr", "-p", self.directory, "-c", config], (host, port))


def gunicorn_python():
    """The test venv's Python if it has gunicorn and Flask, else the system's."""
    for python in (ROOT / "build/venv/bin/python", sys.executable, "/usr/bin/python3"):
        if Path(python).exists() and subprocess.run([python, "-c", "import flask, gunicorn"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return python
    raise NotHere("Flask and gunicorn")


def _build(target, sources, compiler, *arguments):
    """Compiles once per change of the sources, into build/services; without a change no compiler is needed."""
    if not target.exists() or target.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [need(compiler), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=target.parent,
                                env={**os.environ, "GOFLAGS": "-buildvcs=false", "GO111MODULE": "off"})
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}:\n{result.stderr}")
    return target


def built_go():
    target = ROOT / "build/services/stock"
    source = SERVICES / "stock.go"
    return _build(target, [source], "go", "build", "-o", target, source)


def built_java():
    directory = ROOT / "build/services/java"
    sources = sorted(SERVICES.glob("*.java"))
    _build(directory / "Tax.class", sources, "javac", "-d", directory, *sources)
    return directory
