# A plain WSGI service: answers /orders/<id>, after asking the next service over a connection of its own.
import os
import urllib.request

from flask import Flask, request

app = Flask(__name__)
NEXT = os.environ.get("NEXT", "")


@app.route("/orders/<order>", methods=["GET", "POST"])
def orders(order):
    body = request.get_data() or None
    if not NEXT:
        return "flask\n"
    with urllib.request.urlopen(urllib.request.Request(f"{NEXT}/{order}", data=body, method=request.method)) as reply:
        return b"flask > " + reply.read()
