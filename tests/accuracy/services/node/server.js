// Node's http with a keep-alive agent: requests wait for a free socket when all are busy, timers lie between calls.
'use strict';

const http = require('http');
const plan = require('../common/plan.js');

const agent = new http.Agent({keepAlive: true, maxSockets: Number(process.env.CONNECTIONS)});

function call(path, body, index) {
  return new Promise((resolve, reject) => {
    const request = http.request({
      agent, host: '127.0.0.1', port: Number(process.env.BACKEND_PORT), method: 'POST',
      path: plan.callPath(path, index),
      headers: {'Content-Type': 'text/plain', 'Content-Length': body.length},
    }, (response) => {
      response.resume();
      response.on('end', resolve);
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(plan.callBody(body, index));
  });
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
