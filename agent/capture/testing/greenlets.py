"""Greenlets that collections end inside of copy_context(), for python_root_test.cc. They were begun on a shallower stack
than that, and copy a context themselves when they end: return probes on it would kill the process."""
import contextvars
import gc
import sys

import greenlet

ROUNDS, GREENLETS = 30, 20
main = greenlet.getcurrent()
ended = 0


def body():
    global ended
    try:
        main.switch()
    finally:
        contextvars.copy_context()
        ended += 1


def begin():
    one = greenlet.greenlet(body)
    one.switch()
    cycle = [one]
    cycle.append(cycle)


def deep(frames, kept):
    """Through a function of C each time, so that the stack of C grows too."""
    if frames:
        sorted([0], key=lambda _: deep(frames - 1, kept))
        return 0
    for _ in range(400):
        kept.append(contextvars.copy_context())
    return 0


print("ready", flush=True)
sys.stdin.readline()
for _ in range(ROUNDS):
    gc.disable()
    for _ in range(GREENLETS):
        begin()
    gc.set_threshold(300, 1, 1)
    gc.enable()
    deep(20, [])
gc.collect()
sys.exit(ended == 0)
