"""The matcher and the scorer, on logs and spans whose answer is known. `python3 -m pytest tests/accuracy`."""
import random
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bed import bars, case, otlp, score, synthetic, truth  # noqa: E402
from bed.match import match  # noqa: E402

MS = 1_000_000


def token(number, calls=2):
    return f"{calls - 1:x}ffffff" + f"{number:025x}"


def workload(count, at_once, seed=1, calls=2):
    """Closed-loop logs: at_once connections to port 80, a request's calls to port 90 over shared connections."""
    rng = random.Random(seed)
    requests, made, free = [], [], {}
    clock = [1_700_000_000_000_000_000 + i for i in range(at_once)]
    for n in range(count):
        conn = n % at_once
        start = clock[conn] + rng.randrange(1, MS)
        at, t = start + MS, token(n, calls)
        for index in range(calls):
            end = at + rng.randrange(MS, 8 * MS)
            port = next((p for p, busy_until in free.items() if busy_until < at), 40000 + len(free))
            made.append(truth.Call(port, 90, 0, t, f"{index:02d}", "/query", at, end))
            free[port] = end
            at = end + MS
        requests.append(truth.Request(30000 + conn, 80, n // at_once, t, "/order", start, at, 200))
        clock[conn] = at
    return requests, made


def scored(spans, requests, calls):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spans.jsonl"
        synthetic.write(path, spans)
        return score.score(otlp.read_spans(path), requests, calls)


class Matching(unittest.TestCase):
    def test_every_span_finds_its_log_line_also_when_ports_are_used_again(self):
        requests, calls = workload(300, at_once=8)
        spans = synthetic.perfect(requests, calls)
        random.Random(3).shuffle(spans)
        s = scored(spans, requests, calls)
        self.assertEqual((s.outcomes["right"], s.calls, s.whole), (600, 600, 300))
        self.assertEqual(s.other_spans, 0)

    def test_a_missing_span_does_not_shift_its_successors(self):
        requests, calls = workload(100, at_once=1)
        spans = synthetic.perfect(requests, calls)
        lost = {requests[10].token, requests[50].token}
        left = [s for s in spans if s["spanId"] not in {synthetic.server_id(r) for r in requests if r.token in lost}]
        s = scored(left, requests, calls)
        self.assertEqual((s.outcomes["right"], s.outcomes["missing"], s.outcomes["wrong"]), (196, 4, 0))
        self.assertEqual((s.missing_server, s.missing_client), (2, 0))

    def test_spans_of_other_times_on_the_same_ports_are_not_taken(self):
        requests, calls = workload(2, at_once=1)
        later = [r.__class__(**{**vars(r), "start": r.start + 10**12, "end": r.end + 10**12}) for r in requests]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "spans.jsonl"
            synthetic.write(path, synthetic.perfect(later, []))
            self.assertEqual(match(otlp.read_spans(path), requests, otlp.SERVER), {})


class Scoring(unittest.TestCase):
    def setUp(self):
        self.requests, self.calls = workload(40, at_once=4)
        self.of = {r.token: r for r in self.requests}
        self.servers = [synthetic.server_span(r) for r in self.requests]

    def other(self, call):
        """A request that is not the call's."""
        return self.requests[(self.requests.index(self.of[call.token]) + 1) % len(self.requests)]

    def test_each_outcome_is_counted_as_itself(self):
        right, wrong, weak, orphan, missing = self.calls[:5]
        spans = [synthetic.client_span(right, self.of[right.token], "thread", 1.0),
                 synthetic.client_span(wrong, self.other(wrong), "fifo", 0.9),
                 synthetic.client_span(weak, None, "timing", 0.6, weak=self.of[weak.token]),
                 synthetic.client_span(orphan)]
        s = scored(self.servers + spans, self.requests, self.calls[:5])
        self.assertEqual(s.outcomes, {"right": 1, "wrong": 1, "weak": 1, "orphan": 1, "missing": 1})
        self.assertEqual(s.weak_right, 1)
        self.assertEqual({n: (m.parents, m.parents_wrong, m.weak, m.weak_wrong) for n, m in s.methods.items()},
                         {"thread": (1, 0, 0, 0), "fifo": (1, 1, 0, 0), "timing": (0, 0, 1, 0)})
        self.assertEqual(s.wrong_examples[0]["true_parent"], synthetic.server_id(self.of[wrong.token]))

    def test_random_links_are_right_as_often_as_chance(self):
        requests, calls = workload(1000, at_once=8)
        s = scored(synthetic.at_random(requests, calls), requests, calls)
        self.assertAlmostEqual(s.percent("right"), 100 / score.open_requests(requests, calls), delta=10)
        self.assertEqual(s.outcomes["right"] + s.outcomes["wrong"], s.calls)
        self.assertLess(s.ece, 0.03)  # it said how unsure it was

    def test_a_parent_in_another_trace_is_wrong(self):
        call = self.calls[0]
        span = synthetic.client_span(call, self.of[call.token])
        span["traceId"] = "ab" * 16
        self.assertEqual(scored(self.servers + [span], self.requests, [call]).outcomes["wrong"], 1)

    def test_a_sibling_call_as_parent_is_wrong(self):
        first, second = self.calls[:2]
        a = synthetic.client_span(first, self.of[first.token])
        b = synthetic.client_span(second, self.of[second.token])
        b["parentSpanId"] = a["spanId"]
        s = scored(self.servers + [a, b], self.requests, [first, second])
        self.assertEqual((s.outcomes["right"], s.outcomes["wrong"]), (1, 1))

    def test_a_span_between_call_and_request_is_part_of_the_way(self):
        call = self.calls[0]
        request = self.of[call.token]
        between = synthetic.client_span(call, request)
        between |= {"spanId": "1111111111111111", "attributes": []}
        span = synthetic.client_span(call, request)
        span["parentSpanId"] = between["spanId"]
        self.assertEqual(scored(self.servers + [between, span], self.requests, [call]).outcomes["right"], 1)
        between.pop("parentSpanId")
        self.assertEqual(scored(self.servers + [between, span], self.requests, [call]).outcomes["orphan"], 1)

    def test_an_invented_parent_is_wrong_a_lost_one_missing(self):
        call = self.calls[0]
        span = synthetic.client_span(call, self.of[call.token])
        lost = [s for s in self.servers if s["spanId"] != span["parentSpanId"]]
        self.assertEqual(scored(lost + [span], self.requests, [call]).outcomes["missing"], 1)
        span["parentSpanId"] = "2222222222222222"
        self.assertEqual(scored(self.servers + [span], self.requests, [call]).outcomes["wrong"], 1)

    def test_parents_that_go_round_end(self):
        call = self.calls[0]
        loop = synthetic.client_span(call, self.of[call.token])
        loop |= {"spanId": "3333333333333333", "parentSpanId": "3333333333333333", "attributes": []}
        span = synthetic.client_span(call, self.of[call.token])
        span["parentSpanId"] = loop["spanId"]
        self.assertEqual(scored(self.servers + [loop, span], self.requests, [call]).outcomes["wrong"], 1)

    def test_failed_requests_are_left_out(self):
        failed = [r.__class__(**{**vars(r), "status": 502}) if i == 0 else r for i, r in enumerate(self.requests)]
        s = scored(synthetic.perfect(self.requests, self.calls), failed, self.calls)
        self.assertEqual((s.requests, s.calls), (39, 78))
        self.assertEqual(truth.check_services(failed, self.calls, planned=False)[0], "1 of 40 requests failed")

    def test_a_background_call_may_have_no_parent(self):
        background = self.calls[0].__class__(**{**vars(self.calls[0]), "token": truth.NO_TOKEN})
        self.assertEqual(truth.check_services(self.requests, [background, *self.calls], planned=True), [])
        for parent, adopted in ((None, 0), (self.requests[0], 1)):
            s = scored(self.servers + [synthetic.client_span(background, parent)], self.requests, [background])
            self.assertEqual((s.calls, s.background, s.adopted), (0, 1, adopted))

    def test_a_parent_on_a_request_of_an_untraced_client_is_said(self):
        self.servers[0]["parentSpanId"] = "4444444444444444"
        self.assertEqual(scored(self.servers, self.requests, []).false_roots, 1)


class Calibration(unittest.TestCase):
    def test_brier_and_ece(self):
        self.assertIsNone(score.ece([]))
        self.assertEqual(score.brier([(1.0, True), (1.0, False)]), 0.5)
        honest = [(0.8, True)] * 8 + [(0.8, False)] * 2
        self.assertAlmostEqual(score.ece(honest), 0.0)
        boastful = [(1.0, True)] * 8 + [(1.0, False)] * 2
        self.assertAlmostEqual(score.ece(boastful), 0.2)


class Truth(unittest.TestCase):
    def test_the_plan_is_the_one_the_services_follow(self):
        self.assertEqual(truth.planned_calls("4" + "04f3f" + "0" * 26), [0, 1, 2, 4])
        self.assertEqual(truth.planned_calls("5" + "0" * 31), [0])

    def test_a_service_that_strays_is_named(self):
        requests, calls = workload(3, at_once=1)
        self.assertEqual(truth.check_services(requests, calls, planned=True), [])
        self.assertEqual(truth.check_services(requests, calls[1:], planned=True),
                         ["1 requests made other calls than planned"])

    def test_a_token_in_the_agents_output_is_found(self):
        requests, _ = workload(3, at_once=1)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "spans.jsonl"
            synthetic.write(path, [{"traceId": "ab" * 16, "name": requests[1].token}])
            self.assertEqual(case.tokens_in(path, requests), 1)


class Bars(unittest.TestCase):
    def test_bars_loosen_above_concurrency_16(self):
        self.assertFalse(bars.meets("busy", 16, 94, 0.5))
        self.assertTrue(bars.meets("busy", 128, 94, 0.5))
        self.assertFalse(bars.meets("direct", 128, 100, 0.01))


if __name__ == "__main__":
    unittest.main()
