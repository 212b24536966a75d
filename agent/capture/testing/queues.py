"""Threads that serve and put what they are asked for into a queue.Queue, from which workers take it, for
python_root_test.cc: every line says on which connection it came, so that who reads the lines sees both."""
import queue
import socket
import sys
import threading
import time

CLIENTS, REQUESTS = 4, 60
local = threading.local()
jobs = queue.Queue()


def echo(connection):
    while line := connection.recv(100):
        connection.sendall(line)


def serve(connection):
    while line := connection.recv(100):
        done = threading.Event()
        jobs.put((line, done))
        done.wait()
        connection.sendall(line)


def accept(listener, function):
    while True:
        threading.Thread(target=function, args=(listener.accept()[0],), daemon=True).start()


def listen(function):
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, args=(listener, function), daemon=True).start()
    return listener.getsockname()[1]


def request(port, text):
    if not hasattr(local, "connection"):
        local.connection = socket.create_connection(("127.0.0.1", port))
    local.connection.sendall(text)
    local.connection.recv(100)


def work(port):
    while True:
        line, done = jobs.get()
        request(port, b"job of " + line)
        done.set()


def client(port, name):
    for number in range(REQUESTS):
        request(port, f"{name} request {number}\n".encode())
        time.sleep(0.01)


echoes, serves = listen(echo), listen(serve)
for _ in range(2):
    threading.Thread(target=work, args=(echoes,), daemon=True).start()
print("ready", flush=True)
sys.stdin.readline()
clients = [threading.Thread(target=client, args=(serves, f"client {i}")) for i in range(CLIENTS)]
for one in clients:
    one.start()
for one in clients:
    one.join()
