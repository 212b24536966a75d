"""Servers that do what real ones do on a bad day. odd_servers.py MODE PORT [ARGUMENT...]

hold FILE    answers a request once FILE exists, and writes FILE.got when it has read one
sponge       reads everything, answers 200 when the sender has finished, keeps nothing
crowd        accepts and keeps up to 112,000 connections; answers none
guests COUNT ADDRESS   no server: keeps COUNT connections from ADDRESS to PORT, every second one with half a head sent;
             says "seated" and leaves when its standard input ends
storm COUNT  answers a request, and in between forks COUNT children that end at once, 100 at a time
"""

import os
import pathlib
import select
import socket
import sys
import threading
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


def listen(port, backlog=4096):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(backlog)
    return server


def each_connection(server, work):
    while True:
        connection, _ = server.accept()
        threading.Thread(target=work, args=(connection,), daemon=True).start()


def hold(server, release):
    def work(connection):
        with connection:
            while connection.recv(65536):
                pathlib.Path(release + ".got").touch()
                while not os.path.exists(release):
                    time.sleep(0.02)
                connection.sendall(ANSWER)

    each_connection(server, work)


def sponge(server):
    def work(connection):
        with connection:
            while connection.recv(1 << 20):
                pass
            try:
                connection.sendall(ANSWER)
            except OSError:
                pass

    each_connection(server, work)


# Root may lack the right to raise its limit of 20,000 descriptors: seven processes share the listening socket.
SEATS = 16_000


def crowd(server):
    for _ in range(6):
        if os.fork() == 0:
            break
    kept = [server.accept()[0] for _ in range(SEATS)]
    select.select([], [], [])
    del kept


def guests(port, count, address):
    kept = []
    for number in range(int(count)):
        connection = socket.socket()
        connection.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: connect() chooses, much faster
        connection.bind((address, 0))
        connection.connect(("127.0.0.1", port))
        if number % 2:
            connection.send(b"GET /half HTTP/1.1\r\n")
        kept.append(connection)
    print("seated", flush=True)
    sys.stdin.read()


def storm(server, count):
    def work(connection):
        with connection:
            while connection.recv(65536):
                connection.sendall(ANSWER)

    threading.Thread(target=each_connection, args=(server, work), daemon=True).start()
    for done in range(0, int(count), 100):
        children = []
        for number in range(100):
            child = os.fork()
            if child == 0:
                # Every tenth becomes another program, as a shell script's children do.
                if number % 10 == 0:
                    os.execv("/bin/true", ["true"])
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
    select.select([], [], [])


if __name__ == "__main__":
    mode, port, *rest = sys.argv[1:]
    if mode == "guests":
        guests(int(port), *rest)
    else:
        {"hold": hold, "sponge": sponge, "crowd": crowd, "storm": storm}[mode](listen(int(port)), *rest)
