"""tests/tools/otlp_sink.py as a process: a real OTLP receiver that refuses what a lenient one would swallow."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from .spans import read_spans
from .stack import ROOT, free_port

SINK = ROOT / "tests" / "tools" / "otlp_sink.py"
VENV = ROOT / "build" / "venv" / "bin" / "python"


class OtlpSink:
    _count = 0

    def __init__(self, process, directory, number, ports):
        self.process = process
        self.out, self.bad = Path(directory) / f"sink-{number}.jsonl", Path(directory) / f"sink-{number}.rejected"
        self.grpc_port, self.http_port = ports["grpc"], ports["http"]

    @classmethod
    def start(cls, directory, grpc_port=None, http_port=None, fail=()):
        """None where its Python packages are missing."""
        python = str(VENV) if VENV.exists() else sys.executable
        if subprocess.run([python, "-c", "import grpc, opentelemetry.proto.trace"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            return None
        cls._count += 1
        out, bad = Path(directory) / f"sink-{cls._count}.jsonl", Path(directory) / f"sink-{cls._count}.rejected"
        command = [python, str(SINK), "--out", str(out), "--rejected", str(bad), "--grpc-port", str(grpc_port or free_port()),
                   "--http-port", str(http_port or free_port()), *(part for mode in fail for part in ("--fail", mode))]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the OTLP sink ended with status {process.wait()}")
        return cls(process, directory, cls._count, json.loads(line))

    @property
    def url(self):
        return self.url_for("http/protobuf")

    def url_for(self, protocol):
        return f"http://127.0.0.1:{self.grpc_port if protocol == 'grpc' else self.http_port}"

    def stats(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/stats", timeout=10) as reply:
            return json.loads(reply.read())

    def wait_for(self, count, seconds=30):
        """How many spans have arrived, once that is at least `count`; 0 if they never did."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (arrived := self.stats()["spans"]) >= count:
                return arrived
            time.sleep(0.05)
        return 0

    def spans(self):
        return read_spans(self.out)

    def rejected(self):
        return self.bad.read_text().splitlines() if self.bad.exists() else []

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process.stdout.close()
