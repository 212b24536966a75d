// Node's own fetch (undici): its pool opens as many connections as it wants.
'use strict';

const http = require('http');
const plan = require('../common/plan.js');

async function call(path, body, index) {
  const url = `http://127.0.0.1:${process.env.BACKEND_PORT}${plan.callPath(path, index)}`;
  const response = await fetch(url, {
    method: 'POST', headers: {'Content-Type': 'text/plain'}, body: plan.callBody(body, index),
  });
  await response.text();
  if (!response.ok) throw new Error(`backend answered ${response.status}`);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const every = Number(process.env.BACKGROUND_MS);
if (every) setInterval(() => call('/refresh', plan.backgroundBody(), 0).catch(() => {}), every);

http.createServer(async (request, response) => {
  try {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    for (const step of plan.steps(body)) {
      if (step.pause) await sleep(step.pause);
      await Promise.all(step.calls.map((index) => call(request.url, body, index)));
    }
    response.end('done\n');
  } catch (error) {
    response.writeHead(502).end();
  }
}).listen(Number(process.env.PORT), '127.0.0.1', 4096);
