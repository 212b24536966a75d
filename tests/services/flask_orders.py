# A plain WSGI service: answers /orders/<id>, after asking the next service over a connection of its own. With QUEUED set
# so many threads of its own ask, which take what is to be asked from a queue.
import os
import queue
import threading
import urllib.request

from flask import Flask, request

app = Flask(__name__)
NEXT = os.environ.get("NEXT", "")
QUEUED = int(os.environ.get("QUEUED", 0))
jobs = queue.Queue()


def ask(order, body, method):
    with urllib.request.urlopen(urllib.request.Request(f"{NEXT}/{order}", data=body, method=method)) as reply:
        return reply.read()


def work():
    while True:
        arguments, reply = jobs.get()
        reply.put(ask(*arguments))


for _ in range(QUEUED):
    threading.Thread(target=work, daemon=True).start()


@app.route("/orders/<order>", methods=["GET", "POST"])
def orders(order):
    body = request.get_data() or None
    if not NEXT:
        return "flask\n"
    if not QUEUED:
        return b"flask > " + ask(order, body, request.method)
    reply = queue.SimpleQueue()
    jobs.put(((order, body, request.method), reply))
    return b"flask > " + reply.get()
