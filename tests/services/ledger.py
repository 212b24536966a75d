# The end of every chain: a thread-per-connection HTTP/1.1 server that notes which request it saw on which connection.
# The truth is the last 32 bytes of a body too long to be captured; a line of TRUTH is
# "client-port server-port began-ns ended-ns token" in the order of answering.
import os
import socket
import socketserver
import threading
import time

TOKEN_BYTES = 32
truth = open(os.environ["TRUTH"], "a", buffering=1) if os.environ.get("TRUTH") else None
lock = threading.Lock()


def read_body(stream, headers):
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(stream.readline().split(b";")[0], 16):
            body += stream.read(size)
            stream.readline()
        while stream.readline() not in (b"\r\n", b""):
            pass
        return body
    return stream.read(int(headers.get("content-length", 0)))


class Ledger(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        while line := self.rfile.readline():
            began = time.time_ns()
            headers = {}
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = header.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            body = read_body(self.rfile, headers)
            close = headers.get("connection", "").lower() == "close" or line.rstrip().endswith(b"HTTP/1.0")
            if truth and len(body) >= TOKEN_BYTES:
                peer, here = self.client_address[1], self.request.getsockname()[1]
                with lock:
                    truth.write(f"{peer} {here} {began} {time.time_ns()} {body[-TOKEN_BYTES:].decode('latin-1')}\n")
            ending = b"Connection: close\r\n" if close else b""
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n" + ending + b"\r\nledger\n")
            if close:
                return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


if __name__ == "__main__":
    host, _, port = os.environ["LISTEN"].rpartition(":")
    host = host.strip("[]")
    Server.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
    Server((host, int(port)), Ledger).serve_forever()
