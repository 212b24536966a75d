#!/usr/bin/env python3
"""Records what a client and a server say to each other, call by call, by standing between them.

  http_relay_record.py --to PORT --out FILE.rec [--listen PORT] [--note TEXT]

Prints the port it listens on, relays until SIGTERM or SIGINT, then writes the recording (format:
agent/protocols/testing/recording.h). Loopback only. Used by http_conversations.py; can be used as a module.
"""

import argparse
import selectors
import signal
import socket
import sys
import threading
import time


def quoted(data):
    out = ['"']
    for b in data:
        c = chr(b)
        if c == '"' or c == "\\":
            out.append("\\" + c)
        elif c == "\r":
            out.append("\\r")
        elif c == "\n":
            out.append("\\n")
        elif 0x20 <= b < 0x7F:
            out.append(c)
        else:
            out.append("\\x%02x" % b)
    out.append('"')
    return "".join(out)


class Relay:
    """One listening port; every connection is relayed to 127.0.0.1:`to` and recorded."""

    def __init__(self, to, listen=0):
        self.to = to
        self.calls = []
        self.lock = threading.Lock()
        self.start = None
        self.numbers = 0
        self.threads = []
        self.server = socket.create_server(("127.0.0.1", listen))
        self.port = self.server.getsockname()[1]
        self.stopping = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            self.numbers += 1
            thread = threading.Thread(target=self._relay, args=(self.numbers, client), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _note(self, number, kind, data=None):
        with self.lock:
            now = time.monotonic_ns() // 1000
            if self.start is None:
                self.start = now - 100
            self.calls.append((number, kind, now - self.start, data))

    def _relay(self, number, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            client.close()
            return
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll = selectors.DefaultSelector()
        poll.register(client, selectors.EVENT_READ, (server, ">"))
        poll.register(server, selectors.EVENT_READ, (client, "<"))
        open_sides = 2
        end = "x"
        while open_sides > 0:
            for key, _ in poll.select():
                other, kind = key.data
                try:
                    data = key.fileobj.recv(65536)
                except ConnectionResetError:
                    data, end = b"", "r"
                if data:
                    self._note(number, kind, data)
                    try:
                        other.sendall(data)
                    except OSError:
                        end, open_sides = "r", 0
                        break
                    continue
                poll.unregister(key.fileobj)
                open_sides -= 1
                try:
                    other.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                if kind == "<":  # the server is done: so is the connection, whatever the client thinks
                    open_sides = 0
                    break
        self._note(number, end)
        client.close()
        server.close()

    def stop(self):
        self.server.close()
        for thread in self.threads:
            thread.join(timeout=5)

    def write(self, path, note=""):
        with open(path, "w", encoding="ascii") as out:
            out.write("wirespan-conversation 1\n")
            for line in note.splitlines():
                out.write("# " + line + "\n")
            for number, kind, when, data in self.calls:
                text = " " + quoted(data) if data is not None else ""
                out.write(f"{number} {kind} {when}{text}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--listen", type=int, default=0)
    parser.add_argument("--out", required=True)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    relay = Relay(args.to, args.listen)
    print(relay.port, flush=True)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    done.wait()
    relay.stop()
    relay.write(args.out, args.note)
    return 0


if __name__ == "__main__":
    sys.exit(main())
