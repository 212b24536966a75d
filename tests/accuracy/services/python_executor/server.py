"""The standard library's threaded HTTP server; its threads give their calls to a ThreadPoolExecutor that all share.

The argument says how: each call by itself (map, wait, completed, any other word) or all of the work at once (whole),
which gives its calls to another pool (nested); or without a pool, by a thread for each call (threads)."""
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed, wait

import blocking
import plan
import threaded

HOW = sys.argv[1] if len(sys.argv) > 1 else "submit"
pool = ThreadPoolExecutor(plan.WORKERS)
second = ThreadPoolExecutor(plan.WORKERS)


def at_once(path, body, calls, pool=pool):
    if HOW == "threads":
        threads = [threading.Thread(target=blocking.call, args=(path, body, index)) for index in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return
    if HOW == "map":
        list(pool.map(lambda index: blocking.call(path, body, index), calls))
        return
    futures = [pool.submit(blocking.call, path, body, index) for index in calls]
    if HOW == "wait":
        wait(futures)
    for future in as_completed(futures) if HOW == "completed" else futures:
        future.result()


def one_by_one(path, body, *of):
    for pause, calls in plan.steps(body):
        time.sleep(pause)
        at_once(path, body, calls, *of)


def work(path, body):
    if HOW == "whole":
        pool.submit(blocking.work, path, body).result()
    elif HOW == "nested":
        pool.submit(one_by_one, path, body, second).result()
    else:
        one_by_one(path, body)


threaded.serve(work)
