"""The standard library's threaded HTTP server; its threads put their calls into a queue that worker threads take from.

The argument says how: queue.Queue (any word), one whose jobs carry a queue for their replies (replies), a deque and a
condition (deque), multiprocessing's ThreadPool (pool); all of the work as one job (whole), or two queues in a row
(stages). With `shared` the workers borrow their connections from a queue that all share."""
import http.client
import queue
import sys
import threading
import time
from collections import deque
from multiprocessing.pool import ThreadPool

import blocking
import plan
import threaded

HOW = sys.argv[1] if len(sys.argv) > 1 else "queue"


class Job:
    def __init__(self, function, *arguments):
        self.function = function
        self.arguments = arguments
        self.done = threading.Event()
        self.error = None

    def run(self):
        try:
            self.function(*self.arguments)
        except (OSError, http.client.HTTPException) as error:
            self.error = error
        self.done.set()

    def result(self):
        self.done.wait()
        if self.error:
            raise OSError(str(self.error))


class Line:
    """A queue as programs wrote it before there was one."""

    def __init__(self):
        self.jobs = deque()
        self.changed = threading.Condition()

    def put(self, job):
        with self.changed:
            self.jobs.append(job)
            self.changed.notify()

    def get(self):
        with self.changed:
            while not self.jobs:
                self.changed.wait()
            return self.jobs.popleft()


def workers(jobs, count):
    def work():
        while True:
            jobs.get().run()

    for _ in range(count):
        threading.Thread(target=work, daemon=True).start()


connections = queue.Queue()
if HOW == "shared":
    for _ in range(plan.CONNECTIONS):
        connections.put(http.client.HTTPConnection("127.0.0.1", plan.BACKEND_PORT, timeout=60))


def shared_call(path, body, index):
    connection = connections.get()
    try:
        connection.request("POST", plan.call_path(path, index), plan.call_body(body, index),
                           {"Content-Type": "text/plain"})
        connection.getresponse().read()
    finally:
        connections.put(connection)


call = shared_call if HOW == "shared" else blocking.call
jobs = Line() if HOW == "deque" else queue.Queue(plan.WORKERS * 4 if HOW == "queue" else 0)
second = queue.Queue()


def ordered(function, *arguments):
    """Puts it where a worker takes it, and gives what is to be called to wait for its end."""
    if HOW == "pool":
        return pool.apply_async(function, arguments).get
    if HOW == "replies":
        replies = queue.Queue()

        def run():
            try:
                replies.put(function(*arguments))
            except OSError as error:
                replies.put(error)

        def wait():
            reply = replies.get()
            if reply:
                raise reply

        jobs.put(Job(run))
        return wait
    job = Job(function, *arguments)
    if HOW == "stages":
        jobs.put(Job(second.put, job))
    else:
        jobs.put(job)
    return job.result


def work(path, body):
    if HOW == "whole":
        ordered(blocking.work, path, body)()
        return
    for pause, calls in plan.steps(body):
        time.sleep(pause)
        for wait in [ordered(call, path, body, index) for index in calls]:
            wait()


if HOW == "pool":
    pool = ThreadPool(plan.WORKERS)
else:
    workers(jobs, 2 if HOW == "stages" else plan.WORKERS)
    workers(second, plan.WORKERS)
threaded.serve(work)
