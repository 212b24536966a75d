"""aiohttp, server and client, on one event loop; tasks put their calls into an asyncio.Queue that worker tasks take from.

The argument says how: a job for each call (any word), all of the work as one job (whole), which the worker's own tasks
do at once (gather), two queues in a row (stages), or workers that the first request begins (lazy)."""
import asyncio
import sys

import plan
from aiohttp import ClientSession, TCPConnector, web

HOW = sys.argv[1] if len(sys.argv) > 1 else "queue"

jobs = asyncio.Queue()
second = asyncio.Queue()
workers = []


async def call(client, path, body, index):
    url = f"http://127.0.0.1:{plan.BACKEND_PORT}{plan.call_path(path, index)}"
    async with client.post(url, data=plan.call_body(body, index)) as response:
        await response.read()
        response.raise_for_status()


async def all_calls(client, path, body):
    for pause, calls in plan.steps(body):
        await asyncio.sleep(pause)
        if HOW == "gather":
            await asyncio.gather(*(call(client, path, body, index) for index in calls))
        else:
            for index in calls:
                await call(client, path, body, index)


async def work(source):
    while True:
        function, arguments, done = await source.get()
        try:
            result = await function(*arguments)
            if not done.done():
                done.set_result(result)
        except Exception as error:  # noqa: BLE001  (of whoever waits)
            if not done.done():
                done.set_exception(error)


def begin():
    if HOW == "stages":
        workers.extend(asyncio.create_task(work(jobs)) for _ in range(2))
    workers.extend(asyncio.create_task(work(second if HOW == "stages" else jobs)) for _ in range(plan.WORKERS))


def ordered(function, *arguments):
    """Puts it where a worker takes it; what is returned is to be waited for."""
    done = asyncio.get_running_loop().create_future()
    job = (function, arguments, done)
    if HOW == "stages":
        jobs.put_nowait((second.put, (job,), asyncio.get_running_loop().create_future()))
    else:
        jobs.put_nowait(job)
    return done


session = web.AppKey("session", ClientSession)


async def handle(request):
    if not workers:
        begin()
    body = await request.read()
    client = request.app[session]
    if HOW in ("whole", "gather"):
        await ordered(all_calls, client, request.path, body)
        return web.Response(text="done\n")
    for pause, calls in plan.steps(body):
        await asyncio.sleep(pause)
        for done in [ordered(call, client, request.path, body, index) for index in calls]:
            await done
    return web.Response(text="done\n")


async def with_session(app):
    async with ClientSession(connector=TCPConnector(limit=0)) as client:
        app[session] = client
        if HOW != "lazy":
            begin()
        yield
        for one in workers:
            one.cancel()


app = web.Application()
app.cleanup_ctx.append(with_session)
app.router.add_post("/{operation}", handle)
web.run_app(app, host="127.0.0.1", port=plan.PORT, backlog=4096, print=None, access_log=None)
