"""FastAPI under uvicorn, httpx as the client."""
import asyncio
from contextlib import asynccontextmanager

import httpx
import plan
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse


@asynccontextmanager
async def with_client(app):
    limits = httpx.Limits(max_connections=plan.CONNECTIONS, max_keepalive_connections=plan.CONNECTIONS)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        app.state.client = client
        background = asyncio.create_task(refresh())
        yield
        background.cancel()


app = FastAPI(lifespan=with_client)


async def call(path, body, index):
    url = f"http://127.0.0.1:{plan.BACKEND_PORT}{plan.call_path(path, index)}"
    response = await app.state.client.post(url, content=plan.call_body(body, index))
    response.raise_for_status()


async def refresh():
    while plan.BACKGROUND:
        await asyncio.sleep(plan.BACKGROUND)
        await call("/refresh", plan.BACKGROUND_BODY, 0)


@app.post("/{operation}")
async def handle(request: Request):
    body = await request.body()
    for pause, calls in plan.steps(body):
        if pause:
            await asyncio.sleep(pause)
        await asyncio.gather(*(call(request.url.path, body, index) for index in calls))
    return PlainTextResponse("done\n")
