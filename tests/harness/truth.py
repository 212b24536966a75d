"""Holds the spans of a run against what really happened.

A request is known at both ends of its chain: by (client port, server port) and its turn on them. The last SERVER span's
ancestors must lead to the first SERVER span of the very same token; a wrong link anywhere between leads elsewhere.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from .load import Sent
from .spans import SERVER, Forest

# Wall time of a span comes from CLOCK_BOOTTIME plus an offset, ours from the wall clock: they may differ a little.
SLACK_NS = 5_000_000


@dataclass
class Verdict:
    """`missing` is a link not made, which a later stage may infer; `wrong` is a lie."""

    right: int = 0
    wrong: int = 0
    missing: int = 0
    unseen: int = 0  # an end of the chain has no span at all
    doubled: int = 0  # more spans at an end than requests
    examples: list = field(default_factory=list)

    def note(self, kind, text):
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.examples) < 5:
            self.examples.append(f"{kind}: {text}")

    def __str__(self):
        counts = f"right {self.right}, wrong {self.wrong}, missing {self.missing}, unseen {self.unseen}, doubled {self.doubled}"
        return "\n".join([counts, *self.examples])


def read_truth(file):
    """The ledger's own notes."""
    seen = []
    for line in Path(file).read_text().splitlines():
        peer, here, began, ended, token = line.split()
        seen.append(Sent(token, int(peer), int(here), int(began), int(ended), 200))
    return seen


def spans_of(requests, spans, verdict):
    """token -> its SERVER span, matched by ports and, where a port was used again, by order and time."""
    turns = defaultdict(list)
    for span in spans:
        if span.kind == SERVER:
            turns[(span.peer_port, span.local_port)].append(span)
    found = {}
    by_ports = defaultdict(list)
    for request in requests:
        by_ports[(request.client_port, request.server_port)].append(request)
    for ports, asked in by_ports.items():
        asked.sort(key=lambda request: request.began)
        answered = sorted(turns[ports], key=lambda span: span.start)
        if len(answered) > len(asked):
            verdict.note("doubled", f"{len(asked)} requests but {len(answered)} spans on ports {ports}")
        if len(answered) == len(asked):
            found.update({request.token: span for request, span in zip(asked, answered)})
            continue
        # Requests of one connection follow each other closely: of a neighbour that has no span, only the overlap tells.
        for span in answered:
            request = max(asked, key=lambda request: overlap(request, span))
            if overlap(request, span) > -SLACK_NS:
                found.setdefault(request.token, span)
    return found


def overlap(request, span):
    return min(request.ended, span.end) - max(request.began, span.start)


def judge(spans, sent, ledger_file, hops):
    """`hops` is how many spans lie on the path from the first SERVER span to the last, both included."""
    verdict = Verdict()
    forest = Forest(spans)
    firsts = spans_of(sent, spans, verdict)
    lasts = spans_of(read_truth(ledger_file), spans, verdict)
    token_of = {(span.trace, span.id): token for token, span in firsts.items()}
    for request in sent:
        first, last = firsts.get(request.token), lasts.get(request.token)
        if not first or not last:
            verdict.note("unseen", f"{request} has no {'first' if not first else 'last'} SERVER span")
            continue
        path = forest.ancestors(last)
        if path[-1] is first and len(path) == hops:
            verdict.right += 1
        elif (path[-1].trace, path[-1].id) in token_of and path[-1] is not first or len(path) > hops:
            verdict.note("wrong", f"{request.token} was put under another request\n{forest.tree(last.trace)}")
        else:
            top = path[-1]
            verdict.note("missing", f"{request.token} stops at {top.service} {top.name} parent={top.parent or None}\n{forest.tree(last.trace)}")
    return verdict
