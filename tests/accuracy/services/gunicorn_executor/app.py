"""WSGI: the thread that reads the request has its calls made by a pool of a quarter as many threads."""
import time
from concurrent.futures import ThreadPoolExecutor

import blocking
import plan

pool = ThreadPoolExecutor(max(2, plan.WORKERS // 4))


def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    for pause, calls in plan.steps(body):
        time.sleep(pause)
        for future in [pool.submit(blocking.call, environ["PATH_INFO"], body, index) for index in calls]:
            future.result()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"done\n"]
