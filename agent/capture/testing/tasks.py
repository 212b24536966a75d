"""Tasks and threads that say who they are, for python_root_test.cc: each request in a task of its own."""
import asyncio
import contextvars
import socket
import sys

CLIENTS, REQUESTS = 4, 5


async def answer(reader, writer):
    while line := await reader.readline():
        writer.write(line)
    writer.close()


async def request(connection, name, number):
    reader, writer = connection
    writer.write(f"{name} request {number}\n".encode())
    await writer.drain()
    await reader.readline()


async def client(port, name):
    connection = await asyncio.open_connection("127.0.0.1", port)
    for number in range(REQUESTS):
        await asyncio.gather(request(connection, name, number), asyncio.sleep(0.001))
    connection[1].close()


def blocking(connection, name, number):
    connection.sendall(f"{name} request {number}\n".encode())
    connection.recv(100)


async def threaded_client(port, name):
    connection = socket.create_connection(("127.0.0.1", port))
    loop = asyncio.get_running_loop()
    for number in range(REQUESTS):  # asyncio.to_thread, which 3.8 has not
        await loop.run_in_executor(None, contextvars.copy_context().run, blocking, connection, name, number)
    connection.close()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await asyncio.gather(*(client(port, f"client {i}") for i in range(CLIENTS)),
                         *(threaded_client(port, f"thread {i}") for i in range(CLIENTS)))
    await asyncio.sleep(0.05)
    server.close()


asyncio.run(main())
