// The server of the Node services that differ in their clients: what a request asks for is done by call(path, body, index).
// "stream": the answer begins before the calls are made, and goes on after each step.
'use strict';

const http = require('http');
const plan = require('./plan.js');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

module.exports = (call) => {
  const every = Number(process.env.BACKGROUND_MS);
  if (every) setInterval(() => call('/refresh', plan.backgroundBody(), 0).catch(() => {}), every);

  http.createServer(async (request, response) => {
    try {
      const parts = [];
      for await (const part of request) parts.push(part);
      const body = Buffer.concat(parts);
      const stream = process.argv[2] === 'stream';
      for (const step of plan.steps(body)) {
        if (stream) response.write('done\n');
        if (step.pause) await sleep(step.pause);
        await Promise.all(step.calls.map((index) => call(request.url, body, index)));
      }
      response.end('done\n');
    } catch (error) {
      response.writeHead(502).end();
    }
  }).listen(Number(process.env.PORT), '127.0.0.1', 4096);
};
