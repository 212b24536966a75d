// undici's Pool: requests wait for one of few connections in a queue of its own, in whoever's turn one is set free.
'use strict';

const http = require('http');
const {Pool} = require('undici');
const plan = require('../common/plan.js');

const pool = new Pool(`http://127.0.0.1:${process.env.BACKEND_PORT}`, {connections: Number(process.env.CONNECTIONS)});

async function call(path, body, index) {
  const response = await pool.request({method: 'POST', path: plan.callPath(path, index), body: plan.callBody(body, index)});
  await response.body.text();
  if (response.statusCode !== 200) throw new Error(`backend answered ${response.statusCode}`);
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
