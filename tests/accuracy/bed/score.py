"""Compares the agent's parent links with the truth."""
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field

from bed import otlp
from bed.match import match
from bed.truth import NO_TOKEN

RIGHT, WRONG, WEAK, ORPHAN, MISSING = "right", "wrong", "weak", "orphan", "missing"
OUTCOMES = (RIGHT, WRONG, WEAK, ORPHAN, MISSING)
# Ancestors between a call and its request, as FastCGI has them, are few: more is a cycle.
MAX_STEPS = 16


@dataclass
class Method:
    """Links by one wirespan.link.method."""
    parents: int = 0
    parents_wrong: int = 0
    weak: int = 0
    weak_wrong: int = 0


@dataclass
class Score:
    requests: int = 0
    calls: int = 0
    open: float = 0.0  # requests open when a call was made, on average
    per_second: float = 0.0  # requests
    outcomes: dict = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    whole: int = 0  # requests whose every call is right
    missing_server: int = 0
    missing_client: int = 0
    false_roots: int = 0  # SERVER spans with a parent, though their client is not traced
    background: int = 0  # calls that belong to no request
    adopted: int = 0  # of these, how many were given one as their parent
    other_spans: int = 0  # matched to no request and no call
    weak_right: int = 0  # links below the threshold that name the true parent
    unlabelled: int = 0  # parents without a confidence, counted as 1
    sure: int = 0  # parents with confidence >= 0.95
    sure_wrong: int = 0
    brier: float | None = None
    ece: float | None = None
    methods: dict = field(default_factory=dict)
    unlinked: dict = field(default_factory=dict)  # weak and orphan calls by wirespan.link.missing
    wrong_examples: list = field(default_factory=list)

    def percent(self, outcome) -> float:
        return 100.0 * self.outcomes[outcome] / self.calls if self.calls else 0.0

    def to_json(self):
        out = asdict(self)
        out["percent"] = {o: round(self.percent(o), 4) for o in OUTCOMES}
        return out


def brier(samples) -> float | None:
    """Mean squared error of [(confidence, was right)]."""
    if not samples:
        return None
    return sum((p - right) ** 2 for p, right in samples) / len(samples)


def ece(samples, bins=10) -> float | None:
    """Expected calibration error over bins of equal width."""
    if not samples:
        return None
    binned = defaultdict(list)
    for p, right in samples:
        binned[min(int(p * bins), bins - 1)].append((p, right))
    error = 0.0
    for group in binned.values():
        error += abs(sum(p for p, _ in group) - sum(right for _, right in group))
    return error / len(samples)


def open_requests(requests, calls) -> float:
    """How many requests were open when a call was made, on average: among how many one had to choose."""
    starts, ends = sorted(r.start for r in requests), sorted(r.end for r in requests)
    open_at = [bisect_right(starts, c.start) - bisect_left(ends, c.start) for c in calls]
    return sum(open_at) / len(open_at) if open_at else 0.0


class _Judge:
    """Follows a call's parents up to a request of the generator's log."""

    def __init__(self, spans, servers, clients):
        self.by_id = {(s.trace, s.id): s for s in spans}
        self.ids = {s.id for s in spans}
        self.request_of = {id(span): request for request, span in servers.items()}
        self.call_spans = {id(span) for span in clients.values()}

    def root(self, trace, parent):
        """(request, None) when the way up ends at one, else (None, WRONG or ORPHAN or MISSING)."""
        for _ in range(MAX_STEPS):
            if not parent:
                return None, ORPHAN
            span = self.by_id.get((trace, parent))
            if span is None:
                # Under an id that exists in another trace the trace is torn; under an unknown one its parent was lost.
                return None, WRONG if parent in self.ids else MISSING
            if id(span) in self.request_of:
                return self.request_of[id(span)], None
            if id(span) in self.call_spans:
                return None, WRONG
            parent = span.parent
        return None, WRONG


def score(spans, requests, calls) -> Score:
    servers = match(spans, requests, otlp.SERVER)
    clients = match(spans, calls, otlp.CLIENT)
    judge = _Judge(spans, servers, clients)
    answered = {r.token: r for r in requests if r.status == 200}

    out = Score(requests=len(answered), open=open_requests(requests, calls),
                other_spans=len(spans) - len(servers) - len(clients))
    if answered:
        took = max(r.end for r in answered.values()) - min(r.start for r in answered.values())
        out.per_second = len(answered) / (took / 1e9)
    out.false_roots = sum(1 for s in servers.values() if s.parent)
    out.missing_server = sum(1 for r in answered.values() if r not in servers)
    samples, spoiled, methods, unlinked = [], set(), defaultdict(Method), Counter()
    for call in calls:
        if call.token == NO_TOKEN:
            out.background += 1
            out.adopted += call in clients and bool(clients[call].parent)
            continue
        truth = answered.get(call.token)
        if truth is None:
            continue  # of a request that failed: its end is nobody's to judge
        outcome = _judge_call(judge, out, methods, samples, truth, servers.get(truth), clients.get(call))
        out.calls += 1
        out.outcomes[outcome] += 1
        out.missing_client += call not in clients
        if outcome != RIGHT:
            spoiled.add(call.token)
        if outcome in (WEAK, ORPHAN):
            unlinked[clients[call].unlinked or "(not said)"] += 1
        if outcome == WRONG and len(out.wrong_examples) < 5:
            span = clients[call]
            out.wrong_examples.append({"span": span.id, "trace": span.trace, "parent": span.parent, "call": call.index,
                                       "method": span.method, "confidence": span.confidence,
                                       "true_parent": servers[truth].id if truth in servers else ""})
    out.whole = sum(1 for token in answered if token not in spoiled)
    out.brier, out.ece = brier(samples), ece(samples)
    out.methods = dict(sorted(methods.items()))
    out.unlinked = dict(unlinked.most_common())
    return out


def _judge_call(judge, out, methods, samples, truth, server, client):
    if client is None:
        return MISSING
    if client.parent:
        request, problem = judge.root(client.trace, client.parent)
        right = request is not None and request.token == truth.token
        if server is None and problem == MISSING:
            return MISSING
        outcome = RIGHT if right else ORPHAN if problem == ORPHAN else WRONG
        method = methods[client.method or "(none)"]
        method.parents += 1
        method.parents_wrong += outcome == WRONG
        confidence = client.confidence
        if confidence is None:
            out.unlabelled += 1
            confidence = 1.0
        if outcome != ORPHAN:
            samples.append((confidence, right))
            out.sure += confidence >= 0.95
            out.sure_wrong += confidence >= 0.95 and not right
        return outcome
    if server is None:
        return MISSING
    weak = [link for link in client.links if link.confidence is not None]
    if not weak:
        return ORPHAN
    best = max(weak, key=lambda link: link.confidence)
    request, _ = judge.root(best.trace, best.span)
    right = request is not None and request.token == truth.token
    samples.append((best.confidence, right))
    out.weak_right += right
    method = methods[best.method or client.method or "(none)"]
    method.weak += 1
    method.weak_wrong += not right
    return WEAK

