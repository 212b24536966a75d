"""Results as Markdown."""
from bed.score import OUTCOMES


def _markdown(header, rows):
    rows = [[str(c) for c in row] for row in rows]
    widths = [max(len(r[i]) for r in [header, *rows]) for i in range(len(header))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(r, widths)) + " |" for r in [header, *rows]]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def _figure(value, digits=4):
    return "-" if value is None else f"{value:.{digits}f}"


def results(done) -> str:
    """done: [Result]"""
    header = ["kind", "variant", "conc", "calls", "open", *OUTCOMES, "whole", "Brier", "ECE", ">=.95 wrong", "bar",
              "met"]
    rows = []
    for r in done:
        s = r.score
        sure = f"{100 * s.sure_wrong / s.sure:.2f}" if s.sure else "-"
        rows.append([r.kind, r.variant or "-", r.concurrency, s.calls, f"{s.open:.1f}",
                     *(f"{s.percent(o):.2f}" for o in OUTCOMES),
                     f"{100 * s.whole / s.requests:.1f}" if s.requests else "-", _figure(s.brier), _figure(s.ece), sure,
                     f"{r.bar[0]:g}/{r.bar[1]:g}", "yes" if r.met else "NO"])
    return _markdown(header, rows)


def services(done) -> str:
    """What the services did, when no agent watched."""
    return _markdown(["kind", "variant", "conc", "requests", "calls", "open", "requests/s", "truth"],
                     [[r.kind, r.variant or "-", r.concurrency, r.score.requests, r.score.calls, f"{r.score.open:.1f}",
                       f"{r.score.per_second:.0f}", "; ".join(r.complaints) or "agrees"] for r in done])


def methods(done) -> str:
    """Which method made how many links, and how many of them are wrong."""
    rows = []
    for r in done:
        for name, m in r.score.methods.items():
            rows.append([r.kind, r.variant or "-", r.concurrency, name, m.parents, m.parents_wrong, m.weak,
                         m.weak_wrong])
    return _markdown(["kind", "variant", "conc", "method", "parents", "wrong", "weak links", "weak wrong"], rows)


def ablation(done, evidences) -> str:
    """done: {case name: {"": Score, evidence: Score}}: right / wrong in per cent with each evidence off."""
    def cell(score):
        return f"{score.percent('right'):.1f} / {score.percent('wrong'):.1f}"
    return _markdown(["case", "all on", *(f"no {e}" for e in evidences)],
                     [[name, *(cell(scores[e]) for e in ["", *evidences])] for name, scores in done.items()])
