// Node's own fetch (undici): its pool opens as many connections as it wants.
'use strict';

const plan = require('../common/plan.js');
const serve = require('../common/serve.js');

async function call(path, body, index) {
  const url = `http://127.0.0.1:${process.env.BACKEND_PORT}${plan.callPath(path, index)}`;
  const response = await fetch(url, {
    method: 'POST', headers: {'Content-Type': 'text/plain'}, body: plan.callBody(body, index),
  });
  await response.text();
  if (!response.ok) throw new Error(`backend answered ${response.status}`);
}

serve(call);
