"""Blocking calls with http.client, one kept connection per thread: what requests or urllib3 do underneath."""
import http.client
import threading
import time

import plan

_kept = threading.local()


def call(path, body, index):
    if not hasattr(_kept, "connection"):
        _kept.connection = http.client.HTTPConnection("127.0.0.1", plan.BACKEND_PORT, timeout=60)
    _kept.connection.request("POST", plan.call_path(path, index), plan.call_body(body, index),
                             {"Content-Type": "text/plain"})
    response = _kept.connection.getresponse()
    response.read()
    if response.status != 200:
        raise OSError(f"backend answered {response.status}")


def start_background():
    """Calls no request asked for, from a thread of their own."""
    def refresh():
        while True:
            time.sleep(plan.BACKGROUND)
            call("/refresh", plan.BACKGROUND_BODY, 0)
    if plan.BACKGROUND:
        threading.Thread(target=refresh, daemon=True).start()


def work(path, body):
    """Everything a request asks for, in this thread."""
    for pause, calls in plan.steps(body):
        time.sleep(pause)
        for index in calls:
            call(path, body, index)
