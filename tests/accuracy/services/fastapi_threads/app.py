"""FastAPI with an ordinary function: the event loop reads and answers, a thread of its pool makes the calls."""
from contextlib import asynccontextmanager

import anyio.to_thread
import blocking
import plan
from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse


@asynccontextmanager
async def with_pool(app):
    anyio.to_thread.current_default_thread_limiter().total_tokens = plan.WORKERS
    blocking.start_background()
    yield


async def whole_body(request: Request):
    return await request.body()


app = FastAPI(lifespan=with_pool)


@app.post("/{operation}")
def handle(request: Request, body: bytes = Depends(whole_body)):
    blocking.work(request.url.path, body)
    return PlainTextResponse("done\n")
