"""What issue 4 asks for: per class of kind, least right and most wrong in per cent, up to concurrency 16 and above."""

BARS = {
    "direct": ((99.9, 0.0), (99.9, 0.0)),   # same thread, prefork, goroutine direct, fan-out goroutines
    "loop": ((99.5, 0.1), (99.0, 0.1)),     # event loops
    "idle": ((99.0, 0.2), (98.0, 0.2)),     # hand-over to an idle pool: the wake-up is seen
    "unsure": ((0.0, 0.1), (0.0, 0.1)),     # work is handed over unseen: better no parent than a wrong one
    "busy": ((95.0, 0.5), (90.0, 1.0)),     # a queue without wake-ups, small connection pools
}


def bar(cls: str, concurrency: int):
    return BARS[cls][0 if concurrency <= 16 else 1]


def meets(cls: str, concurrency: int, right: float, wrong: float) -> bool:
    least, most = bar(cls, concurrency)
    return right >= least and wrong <= most
