"""aiohttp whose tasks give their calls to threads: by run_in_executor, or (to_thread) as asyncio.to_thread does, in a
copy of the task's context."""
import asyncio
import contextvars
import sys
from concurrent.futures import ThreadPoolExecutor

import blocking
import plan
from aiohttp import web

COPIES = "to_thread" in sys.argv
pool = ThreadPoolExecutor(plan.WORKERS)


async def call(path, body, index):
    run = (contextvars.copy_context().run,) if COPIES else ()
    await asyncio.get_running_loop().run_in_executor(pool, *run, blocking.call, path, body, index)


async def handle(request):
    body = await request.read()
    try:
        for pause, calls in plan.steps(body):
            if pause:
                await asyncio.sleep(pause)
            await asyncio.gather(*(call(request.path, body, index) for index in calls))
    except OSError:
        return web.Response(status=502)
    return web.Response(text="done\n")


blocking.start_background()
app = web.Application()
app.router.add_post("/{operation}", handle)
web.run_app(app, host="127.0.0.1", port=plan.PORT, backlog=4096, print=None, access_log=None)
