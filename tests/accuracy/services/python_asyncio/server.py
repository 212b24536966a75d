"""aiohttp, server and client, on one event loop; calls wait for a connection when all are in use."""
import asyncio

import plan
from aiohttp import ClientSession, TCPConnector, web

session = web.AppKey("session", ClientSession)


async def call(client, path, body, index):
    url = f"http://127.0.0.1:{plan.BACKEND_PORT}{plan.call_path(path, index)}"
    async with client.post(url, data=plan.call_body(body, index)) as response:
        await response.read()
        response.raise_for_status()


async def handle(request):
    body = await request.read()
    for pause, calls in plan.steps(body):
        if pause:
            await asyncio.sleep(pause)
        await asyncio.gather(*(call(request.app[session], request.path, body, index) for index in calls))
    return web.Response(text="done\n")


async def refresh(client):
    while plan.BACKGROUND:
        await asyncio.sleep(plan.BACKGROUND)
        await call(client, "/refresh", plan.BACKGROUND_BODY, 0)


async def with_session(app):
    async with ClientSession(connector=TCPConnector(limit=plan.CONNECTIONS)) as client:
        app[session] = client
        background = asyncio.create_task(refresh(client))
        yield
        background.cancel()


app = web.Application()
app.cleanup_ctx.append(with_session)
app.router.add_post("/{operation}", handle)
web.run_app(app, host="127.0.0.1", port=plan.PORT, backlog=4096, print=None, access_log=None)
