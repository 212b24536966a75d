"""Finds the span of each logged request and call, from ports and times alone.

Spans and log records of one connection (client port, server port) are both in order of time and never overlap, as none
of our services pipelines. Client ports are used again, and a span may be missing, so the k-th is not simply the k-th: a
pair must also cover the same time. The logs' times are on the same host's clock as the spans'.
"""
from collections import defaultdict

from bed import otlp


def _same_time(a, b) -> bool:
    """The shorter lies at least half within the longer: one end sees an exchange within the other's times."""
    overlap = min(a.end, b.end) - max(a.start, b.start)
    return overlap >= 0 and 2 * overlap >= min(a.end - a.start, b.end - b.start)


def match(spans, records, kind) -> dict:
    """{record: span} for the records that have one."""
    by_connection = defaultdict(list)
    for span in spans:
        if span.kind == kind:
            ports = (span.peer_port, span.local_port) if kind == otlp.SERVER else (span.local_port, span.peer_port)
            by_connection[ports].append(span)
    logged = defaultdict(list)
    for record in records:
        logged[(record.client_port, record.server_port)].append(record)

    found = {}
    for ports, rows in logged.items():
        rows.sort(key=lambda r: r.start)
        candidates = sorted(by_connection.get(ports, []), key=lambda s: s.start)
        r = s = 0
        while r < len(rows) and s < len(candidates):
            if _same_time(rows[r], candidates[s]):
                found[rows[r]] = candidates[s]
                r, s = r + 1, s + 1
            elif rows[r].end < candidates[s].end:
                r += 1
            else:
                s += 1
    return found
