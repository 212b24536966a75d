"""A ThreadPoolExecutor fed by the thread that accepts and reads; the worker that makes the calls writes the answer."""
import selectors
import socket
from concurrent.futures import ThreadPoolExecutor

import blocking
import plan

BODY_SIZE = 3170


def answer(connection, path, body):
    try:
        blocking.work(path, body)
        status = b"200 OK"
    except OSError:
        status = b"502 Bad Gateway"
    try:
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\ndone\n")
    except OSError:
        pass  # the client has gone: there is nobody to tell


def main():
    blocking.start_background()
    pool = ThreadPoolExecutor(plan.WORKERS)
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", plan.PORT), backlog=4096)
    selector.register(listener, selectors.EVENT_READ)
    partial = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                partial[connection] = b""
                selector.register(connection, selectors.EVENT_READ)
                continue
            connection = key.fileobj
            data = connection.recv(65536)
            if not data:
                selector.unregister(connection)
                del partial[connection]
                connection.close()
                continue
            text = partial[connection] + data
            head = text.find(b"\r\n\r\n")
            if head < 0 or len(text) < head + 4 + BODY_SIZE:
                partial[connection] = text
                continue
            partial[connection] = b""
            pool.submit(answer, connection, text.split(b" ", 2)[1].decode(), text[head + 4:])


main()
