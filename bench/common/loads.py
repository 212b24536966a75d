"""Load generators. Each call returns {"ops": exact number done, "rate": a second, "p50", "p99", "p999": ms}."""

import math
import re
import subprocess
import tempfile
from pathlib import Path

from harness.stack import need

_REPORT = """done = function(summary, latency, requests)
  io.write(string.format("REPORT %d %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), latency:percentile(99.9), summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.status + summary.errors.timeout))
end
"""


def wrk(url, seconds, connections=64, threads=2):
    """As fast as it goes."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_REPORT)
        script.flush()
        output = subprocess.run([need("wrk"), "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s", "-s", script.name, url],
                                capture_output=True, text=True, check=True).stdout
    ops, duration, p50, p99, p999, errors = map(int, re.search(r"REPORT (.*)", output)[1].split())
    return {"ops": ops, "rate": ops / duration * 1e6, "p50": p50 / 1e3, "p99": p99 / 1e3, "p999": p999 / 1e3, "errors": errors}


def h2load(url, seconds, rate, connections=32):
    """HTTP/1.1 at a fixed rate."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        subprocess.run([need("h2load"), "--h1", "-t", "1", "-c", str(connections), "-D", str(seconds),
                        "--rps", f"{rate / connections:.3f}", "--log-file", str(log), url],
                       capture_output=True, check=True)
        micros = sorted(int(line.rsplit(None, 1)[1]) for line in log.read_text().splitlines())
    at = lambda q: micros[min(len(micros) - 1, math.ceil(q * len(micros)) - 1)] / 1e3
    return {"ops": len(micros), "p50": at(0.5), "p99": at(0.99), "p999": at(0.999)}


def redis_benchmark(port, requests, pipeline, connections=50):
    output = subprocess.run([need("redis-benchmark"), "-h", "127.0.0.1", "-p", str(port), "-t", "set,get", "-n", str(requests),
                             "-c", str(connections), "-P", str(pipeline), "--csv"], capture_output=True, text=True, check=True).stdout
    rows = [[float(field) for field in re.findall(r'"([\d.]+)"', line)] for line in output.splitlines() if re.match(r'"[GS]ET"', line)]
    rate = len(rows) / sum(1 / row[0] for row in rows)
    figures = {"ops": requests * len(rows), "rate": rate}
    if len(rows[0]) >= 6:  # Redis 6.2: rps, avg, min, p50, p95, p99, max
        figures.update(p50=max(row[3] for row in rows), p99=max(row[5] for row in rows))
    return figures


def pgbench(port, directory, seconds, clients=8):
    output = subprocess.run([pg_program("pgbench"), "-n", "-S", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(seconds), "-h", "127.0.0.1",
                             "-p", str(port), "-U", "postgres", "postgres"], capture_output=True, text=True, check=True, cwd=directory).stdout
    return {"ops": int(re.search(r"transactions actually processed: (\d+)", output)[1]),
            "rate": float(re.search(r"tps = ([\d.]+)", output)[1]), "p50": float(re.search(r"latency average = ([\d.]+)", output)[1])}


def pg_program(name):
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(newest[-1]) if newest else need(name)
