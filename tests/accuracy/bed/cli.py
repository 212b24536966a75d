"""The command line."""
import argparse
import json
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bed import bars, tables
from bed.agent import Agent, lost
from bed.case import EVENTS, SPANS, Case, Load, Runner, case_of, judge, write_perfect
from bed.kinds import KINDS
from bed.processes import BedError
from bed.score import Score
from bed.setup import HERE, Missing, Toolchains

ROOT = HERE.parent.parent
SMOKE_KINDS = ("gunicorn_sync", "go_direct", "node:idle", "java_pool_acceptor:busy")


@dataclass
class Result:
    kind: str
    variant: str
    concurrency: int
    score: Score
    bar: tuple
    met: bool
    complaints: list
    lost: dict

    def to_json(self):
        return {**vars(self), "score": self.score.to_json()}


def parse(argv):
    p = argparse.ArgumentParser(prog="run.py",
                                description="How often is the parent right? See tests/accuracy/README.md.")
    p.add_argument("kinds", nargs="*", metavar="KIND[:VARIANT]", help="default: all")
    p.add_argument("--list", action="store_true", help="print the kinds and their variants")
    p.add_argument("--concurrency", default=None, help="comma separated; default 1,16,128")
    p.add_argument("--requests", type=int, default=None, help="per case; default 2000")
    p.add_argument("--think", type=float, default=0, help="longest pause of a client between requests, ms")
    p.add_argument("--delay", type=float, default=2, help="median delay of the backend, ms")
    p.add_argument("--background", type=int, default=0, metavar="MS",
                   help="a call that belongs to no request, so often, by the kinds that can; default: none")
    p.add_argument("--no-pauses", action="store_true", help="services call at once, without timers between")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--agent", type=Path, metavar="PATH",
                   help="the wirespan binary; default: build/release/wirespan, then build/dev/wirespan")
    p.add_argument("--config", type=Path, help="passed to the agent")
    p.add_argument("--without-agent", action="store_true", help="only check that services and truth agree")
    p.add_argument("--record", type=Path, metavar="DIR", help="record events and truth there; score a replay of them")
    p.add_argument("--replay", type=Path, metavar="DIR",
                   help="score a replay of what --record wrote; needs no service and no root")
    p.add_argument("--drop", type=float, metavar="PERCENT", help="with --replay: leave out so many events, at random")
    p.add_argument("--ablate", metavar="EVIDENCE,..", help="replay each case with each of these off in turn")
    p.add_argument("--smoke", action="store_true", help="few kinds, 200 requests, concurrency 1 and 16")
    p.add_argument("--enforce", action="store_true", help="exit status 1 if a bar is missed")
    p.add_argument("--json", type=Path, metavar="OUT")
    p.add_argument("--keep", type=Path, metavar="DIR", help="keep logs and spans of each case there")
    p.add_argument("--build", type=Path, default=ROOT / "build" / "accuracy", help="where dependencies are installed")
    args = p.parse_args(argv)
    if args.replay and args.record:
        p.error("--record and --replay exclude each other")
    if args.drop and not args.replay:
        p.error("--drop goes with --replay")
    if args.without_agent and (args.replay or args.record or args.ablate):
        p.error("--without-agent goes with neither --record, --replay nor --ablate")
    args.requests = args.requests or (200 if args.smoke else 2000)
    try:
        args.concurrency = [int(c) for c in (args.concurrency or ("1,16" if args.smoke else "1,16,128")).split(",")]
    except ValueError:
        p.error("--concurrency takes numbers, separated by commas")
    try:
        args.selected = select(args.kinds or (SMOKE_KINDS if args.smoke else list(KINDS)))
    except KeyError as e:
        p.error(f"no kind {e.args[0]}; see --list")
    return args


def select(names):
    """[(Kind, Variant)] of "kind" and "kind:variant"."""
    out = []
    for name in names:
        kind, _, wanted = name.partition(":")
        if kind not in KINDS:
            raise KeyError(name)
        variants = [v for v in KINDS[kind].variants if wanted in ("", v.name)]
        if not variants:
            raise KeyError(name)
        out += [(KINDS[kind], v) for v in variants]
    return out


def find_agent(asked: Path | None) -> Path:
    for path in [asked] if asked else [ROOT / "build/release/wirespan", ROOT / "build/dev/wirespan"]:
        if path.exists():
            return path.resolve()
    raise BedError(f"no agent at {asked}" if asked else "no agent built: ./dev build, or say --agent PATH")


class Bed:
    def __init__(self, args):
        self.args = args
        self.tools = Toolchains(args.build.resolve())
        self.binary = None if args.without_agent else find_agent(args.agent)
        self.evidences = args.ablate.split(",") if args.ablate else []
        self.results, self.ablations, self.left_out, self.failed = [], {}, [], []

    def run_all(self, folder: Path):
        """Runs every case asked for into its own sub-folder."""
        how = "none" if self.args.without_agent else "record" if self.args.record or self.evidences else "trace"
        load = Load(self.args.requests, self.args.think, self.args.delay, self.args.seed,
                    self.args.background, not self.args.no_pauses)
        runner = Runner(self.tools, None if how == "none" else self._agent(), how, load)
        for kind, variant in self.args.selected:
            try:
                kind.setup(self.tools)
            except Missing as e:
                self.left_out.append(f"{kind.name}: {e}")
                continue
            for concurrency in self.args.concurrency:
                case = Case(kind, variant, concurrency)
                self._guarded(case, lambda: self._run(runner, how, case, folder / case.name))

    def replay_all(self, folder: Path):
        wanted = {(k.name, v.name) for k, v in self.args.selected}
        for path in sorted(folder.iterdir()):
            if (path / EVENTS).exists():
                case = case_of(path, KINDS)
                if (case.kind.name, case.variant.name) in wanted:
                    self._guarded(case, lambda: self._replay(case, path))

    def _guarded(self, case, work):
        say(case.name)
        try:
            work()
        except BedError as e:
            self.failed.append(f"{case.name}: {str(e).splitlines()[0]}")
            say(f"  failed: {e}")

    def _agent(self, config=None):
        return Agent(self.binary, config or self.args.config)

    def _run(self, runner, how, case, folder):
        runner.run(case, folder)
        if how == "record":
            self._replay(case, folder)
            return
        if how == "none":
            write_perfect(folder)
        self._judge(case, folder)

    def _replay(self, case, folder):
        events = folder / EVENTS
        if self.args.drop:
            events = folder / f"events-less-{self.args.drop:g}.rec"
            events.unlink(missing_ok=True)
            self._agent().degrade(folder / EVENTS, events, self.args.drop)
        self._agent().replay(events, folder / SPANS, folder / "replay.log")
        scores = {"": self._judge(case, folder)}
        for evidence in self.evidences:
            config = folder / f"without-{evidence}.yaml"
            config.write_text(self._config_without(evidence))
            spans = folder / f"spans-without-{evidence}.jsonl"
            self._agent(config).replay(events, spans, folder / "replay.log")
            scores[evidence], _ = judge(folder, case.kind.planned, spans)
        if self.evidences:
            self.ablations[case.name] = scores

    def _config_without(self, evidence):
        if self.args.config:
            raise BedError("--ablate writes the agent's configuration itself: leave --config out")
        return f"link:\n  evidence:\n    {evidence}: false\n"

    def _judge(self, case, folder) -> Score:
        score, complaints = judge(folder, case.kind.planned, folder / SPANS)
        bar = bars.bar(case.variant.bar, case.concurrency)
        met = bars.meets(case.variant.bar, case.concurrency, score.percent("right"), score.percent("wrong"))
        result = Result(case.kind.name, case.variant.name, case.concurrency, score, bar, met, complaints,
                        lost(folder / "agent.log"))
        self.results.append(result)
        for complaint in complaints:
            say(f"  {complaint}")
        return score

    def report(self):
        if self.args.without_agent:
            print(tables.services(self.results), "\n")
        elif self.results:
            print(tables.results(self.results), "\n")
            print(tables.methods(self.results), "\n")
        if self.ablations:
            print("Right / wrong in per cent:\n")
            print(tables.ablation(self.ablations, self.evidences), "\n")
        for r in self.results:
            s, name = r.score, "-".join(filter(None, (r.kind, r.variant, str(r.concurrency))))
            notes = list(r.complaints)
            if s.false_roots:
                notes.append(f"{s.false_roots} SERVER spans have a parent though their client is not traced")
            if s.missing_server or s.missing_client:
                notes.append(f"missing: {s.missing_server} SERVER and {s.missing_client} CLIENT spans; "
                             f"{s.other_spans} spans match no log")
            if s.unlinked:
                notes.append("no parent because: " + ", ".join(f"{why} {n}" for why, n in s.unlinked.items()))
            if s.background:
                notes.append(f"{s.adopted} of {s.background} background calls were given a parent")
            if r.lost:
                notes.append("the agent lost: " + ", ".join(f"{name} {n}" for name, n in r.lost.items()))
            if s.unlabelled:
                notes.append(f"{s.unlabelled} parents carry no confidence")
            for note in notes:
                print(f"{name}: {note}")
        for text in self.left_out:
            print(f"left out: {text}")
        for text in self.failed:
            print(f"FAILED: {text}")
        if self.args.json:
            self.args.json.write_text(json.dumps({
                "results": [r.to_json() for r in self.results], "left_out": self.left_out, "failed": self.failed,
                "ablation": {n: {e or "all on": s.to_json() for e, s in scores.items()}
                             for n, scores in self.ablations.items()}}, indent=1) + "\n")

    def status(self):
        bad = bool(self.failed) or any(r.complaints for r in self.results) or not self.results
        return int(bad or (self.args.enforce and not all(r.met for r in self.results)))


def say(text):
    print(text, file=sys.stderr, flush=True)


def main(argv=None):
    args = parse(argv)
    if args.list:
        for kind in KINDS.values():
            print(kind.name, *(f"{kind.name}:{v.name}" for v in kind.variants if v.name))
        return 0
    # The same way out as Ctrl-C: everything started is ended on it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        bed = Bed(args)
        if args.replay:
            bed.replay_all(args.replay.resolve())
        elif args.record or args.keep:
            bed.run_all((args.record or args.keep).resolve())
        else:
            with tempfile.TemporaryDirectory(prefix="wirespan-accuracy-") as folder:
                bed.run_all(Path(folder))
        bed.report()
    except BedError as e:
        say(f"run.py: {e}")
        return 2
    except KeyboardInterrupt:
        return 130
    return bed.status()
