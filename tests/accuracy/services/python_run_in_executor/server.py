"""aiohttp whose tasks give their calls to threads: by run_in_executor, or (to_thread) as asyncio.to_thread does, in a
copy of the task's context, or (queue) by a queue.Queue that threads take them from."""
import asyncio
import contextvars
import queue
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import blocking
import plan
from aiohttp import web

COPIES = "to_thread" in sys.argv
pool = ThreadPoolExecutor(plan.WORKERS)
jobs = queue.Queue()


def work():
    while True:
        loop, done, arguments = jobs.get()
        try:
            blocking.call(*arguments)
            loop.call_soon_threadsafe(done.set_result, None)
        except OSError as error:
            loop.call_soon_threadsafe(done.set_exception, error)


async def queued(*arguments):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    jobs.put((loop, done, arguments))
    await done


async def call(path, body, index):
    if "queue" in sys.argv:
        return await queued(path, body, index)
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


for _ in range(plan.WORKERS):
    threading.Thread(target=work, daemon=True).start()
blocking.start_background()
app = web.Application()
app.router.add_post("/{operation}", handle)
web.run_app(app, host="127.0.0.1", port=plan.PORT, backlog=4096, print=None, access_log=None)
