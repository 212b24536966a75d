"""Threads and tasks that give work to a pool, for python_root_test.cc: every line says who gave it, and its answer who
did it, so that who reads the lines sees both."""
import asyncio
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

CLIENTS, REQUESTS = 4, 5
local = threading.local()


def serve(connection):
    while line := connection.recv(100):
        connection.sendall(line)


def accept(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def request(port, text):
    if not hasattr(local, "connection"):
        local.connection = socket.create_connection(("127.0.0.1", port))
    local.connection.sendall(text.encode())
    local.connection.recv(100)


def client(pool, port, name):
    # Who gives says so itself: once, before.
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(f"{name} gives\n".encode())
    connection.recv(100)
    for number in range(REQUESTS):
        pool.submit(request, port, f"{name} request {number}\n").result()


async def task(pool, port, name):
    for number in range(REQUESTS):
        await asyncio.get_running_loop().run_in_executor(pool, request, port, f"{name} request {number}\n")


async def tasks(pool, port):
    await asyncio.gather(*(task(pool, port, f"task {i}") for i in range(CLIENTS)))


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, args=(listener,), daemon=True).start()
port = listener.getsockname()[1]
with ThreadPoolExecutor(2) as pool:
    pool.submit(int).result()
    print("ready", flush=True)
    sys.stdin.readline()
    clients = [threading.Thread(target=client, args=(pool, port, f"client {i}")) for i in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    asyncio.run(tasks(pool, port))
