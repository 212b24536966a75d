"""The ground truth: what the load generator and the backend logged, which the agent never sees."""
import csv
from dataclasses import dataclass
from pathlib import Path

TOKEN_SIZE = 32
NO_INDEX = "--"
NO_TOKEN = "-" * TOKEN_SIZE  # of a call that no request asked for


@dataclass(frozen=True)
class Request:
    """A request to the service under test, as its client (the generator) saw it. Times are wall ns."""
    client_port: int
    server_port: int
    number: int
    token: str
    path: str
    start: int
    end: int
    status: int


@dataclass(frozen=True)
class Call:
    """A request of the service under test to the backend, as the backend saw it."""
    client_port: int
    server_port: int
    number: int
    token: str
    index: str
    path: str
    start: int
    end: int


def _rows(path):
    with open(path, newline="") as file:
        yield from csv.DictReader(file, delimiter="\t")


def read_requests(path: Path) -> list[Request]:
    return [Request(int(r["client_port"]), int(r["server_port"]), int(r["number"]), r["token"], r["path"],
                    int(r["start_ns"]), int(r["end_ns"]), int(r["status"])) for r in _rows(path)]


def read_calls(path: Path) -> list[Call]:
    return [Call(int(r["client_port"]), int(r["server_port"]), int(r["number"]), r["token"], r["index"], r["path"],
                 int(r["start_ns"]), int(r["end_ns"])) for r in _rows(path)]


def planned_calls(token: str) -> list[int]:
    """Indexes of the calls a token asks for (services/README.md)."""
    d = [int(c, 16) for c in token]
    return [i for i in range(1 + d[0] % 5) if i == 0 or d[1 + i] >= 4]


def check_services(requests: list[Request], calls: list[Call], planned: bool) -> list[str]:
    """What the service did otherwise than it should, in words; empty when the truth can be trusted."""
    wrong = []
    failed = [r for r in requests if r.status != 200]
    if failed:
        wrong.append(f"{len(failed)} of {len(requests)} requests failed")
    known = {r.token for r in requests}
    strangers = sum(1 for c in calls if c.token not in known and c.token != NO_TOKEN)
    if strangers:
        wrong.append(f"{strangers} calls carry no known token")
    seen: dict[str, list[str]] = {}
    for call in calls:
        seen.setdefault(call.token, []).append(call.index)
    bad = 0
    for request in requests:
        if request.status == 200:
            expected = [f"{i:02d}" for i in planned_calls(request.token)] if planned else [NO_INDEX]
            bad += sorted(seen.get(request.token, [])) != expected
    if bad:
        wrong.append(f"{bad} requests made other calls than planned")
    return wrong
