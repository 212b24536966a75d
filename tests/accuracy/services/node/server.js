// Node's http with a keep-alive agent: requests wait for a free socket when all are busy, timers lie between calls.
'use strict';

const http = require('http');
const plan = require('../common/plan.js');
const serve = require('../common/serve.js');

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

serve(call);
