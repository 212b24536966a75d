"""The work a request asks for (services/README.md), for the Python services."""
import os

PORT, BACKEND_PORT = int(os.environ.get("PORT", 0)), int(os.environ.get("BACKEND_PORT", 0))
WORKERS, CONNECTIONS = int(os.environ.get("WORKERS", 0)), int(os.environ.get("CONNECTIONS", 0))
BACKGROUND = int(os.environ.get("BACKGROUND_MS", 0)) / 1000
BACKGROUND_BODY = b"." * 3072 + b"-" * 32 + b"00" + b"." * 63 + b"\n"
TOKEN = slice(3072, 3104)
INDEX_AT = 3104


def steps(body):
    """[(pause in seconds, [indexes of the calls to make at once])]."""
    d = [int(c, 16) for c in body[TOKEN].decode()]
    calls = [i for i in range(1 + d[0] % 5) if i == 0 or d[1 + i] >= 4]
    if d[6] % 3 == 0:
        groups = [[i] for i in calls]
    elif d[6] % 3 == 1:
        groups = [calls]
    else:
        groups = [calls[:1]] + ([calls[1:]] if calls[1:] else [])
    return [(d[7 + group[0]] / 4000, group) for group in groups]


def call_body(body, index):
    return body[:INDEX_AT] + b"%02d" % index + body[INDEX_AT + 2:]


def call_path(incoming, index):
    if incoming == "/refresh":
        return incoming
    return ("/users", "/stock", "/price", "/offers", "/audit")[index] if incoming == "/order" else "/query"
