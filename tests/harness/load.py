"""Requests whose truth only the sender and the last service know: a token at the end of a body too long to be captured."""

import secrets
import socket
import threading
import time
from dataclasses import dataclass

BODY_BYTES = 3000  # the agent captures the first 1 KiB of a turn by default


@dataclass
class Sent:
    token: str
    client_port: int
    server_port: int
    began: int  # wall ns just before the request was written
    ended: int  # wall ns just after the response was read
    status: int


class Connection:
    """One keep-alive HTTP/1.1 connection by hand; reconnects when the server closed."""

    def __init__(self, host, port):
        self.address = (host, port)
        self.socket = None
        self.local_port = 0

    def open(self):
        """Returns the local port, which a test knows the request by."""
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=120)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.stream = self.socket.makefile("rb")
            self.local_port = self.socket.getsockname()[1]
        return self.local_port

    def close(self):
        if self.socket:
            self.stream.close()  # holds the descriptor too
            self.socket.close()
            self.socket = None

    def request(self, path, body=b"", method=None, headers=()):
        """(status, body); one retry where an idle keep-alive connection turns out to be closed."""
        for attempt in (1, 2):
            fresh = self.socket is None
            self.open()
            try:
                host = f"[{self.address[0]}]" if ":" in self.address[0] else self.address[0]
                lines = [f"{method or ('POST' if body else 'GET')} {path} HTTP/1.1", f"Host: {host}:{self.address[1]}", *headers]
                if body:
                    lines += [f"Content-Length: {len(body)}", "Content-Type: application/octet-stream"]
                self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                return self._response()
            except (ConnectionError, EOFError):
                self.close()
                if fresh or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _response(self):
        status_line = self.stream.readline()
        if not status_line:
            raise EOFError("closed before the response")
        status = int(status_line.split()[1])
        headers = {}
        while (line := self.stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.stream.readline().split(b";")[0], 16):
                body += self.stream.read(size)
                self.stream.readline()
            self.stream.readline()
        elif "content-length" in headers:
            body = self.stream.read(int(headers["content-length"]))
        else:
            body, headers["connection"] = self.stream.read(), "close"
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, body


def drive(service, requests, concurrency, path=None, headers=()):
    """Sends `requests` POSTs over `concurrency` connections; returns [Sent] (an exception in a thread is raised here)."""
    sent, failures = [], []
    left = iter(range(requests))
    lock = threading.Lock()
    target = path or service.url.split(str(service.port), 1)[1] + "/"

    def work():
        connection = Connection(service.host, service.port)
        try:
            while True:
                with lock:
                    number = next(left, None)
                if number is None or failures:
                    return
                token = secrets.token_hex(16)
                body = token.rjust(BODY_BYTES, ".").encode()
                began = time.time_ns()
                status, _ = connection.request(f"{target}{number}", body, headers=headers)
                with lock:
                    sent.append(Sent(token, connection.local_port, service.port, began, time.time_ns(), status))
        except Exception as error:  # noqa: BLE001 - handed to the caller below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sent
