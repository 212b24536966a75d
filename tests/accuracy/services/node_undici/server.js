// undici's Pool: requests wait for one of few connections in a queue of its own, in whoever's turn one is set free.
'use strict';

const {Pool} = require('undici');
const plan = require('../common/plan.js');
const serve = require('../common/serve.js');

const pool = new Pool(`http://127.0.0.1:${process.env.BACKEND_PORT}`, {connections: Number(process.env.CONNECTIONS)});

async function call(path, body, index) {
  const response = await pool.request({method: 'POST', path: plan.callPath(path, index), body: plan.callBody(body, index)});
  await response.body.text();
  if (response.statusCode !== 200) throw new Error(`backend answered ${response.statusCode}`);
}

serve(call);
