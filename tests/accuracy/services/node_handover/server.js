// Node services in which requests hand work to each other unseen: one's turn goes on with another's. The argument says
// how; see HANDOVERS.
'use strict';

const {AsyncLocalStorage} = require('async_hooks');
const dns = require('dns');
const fs = require('fs');
const http = require('http');
const {Worker, isMainThread, parentPort} = require('worker_threads');
const plan = require('../common/plan.js');

if (!isMainThread) {
  parentPort.on('message', (message) => parentPort.postMessage(message));
  return;
}

const agent = new http.Agent({keepAlive: true, maxSockets: Number(process.env.CONNECTIONS)});

function send(agent, path, body, index, done) {
  const request = http.request({
    agent, host: '127.0.0.1', port: Number(process.env.BACKEND_PORT), method: 'POST',
    path: plan.callPath(path, index),
    headers: {'Content-Type': 'text/plain', 'Content-Length': body.length},
  }, (response) => {
    response.resume();
    response.on('end', () => done());
    response.on('error', done);
  });
  request.on('error', done);
  request.end(plan.callBody(body, index));
}

const call = (path, body, index, over = agent) => new Promise((resolve, reject) => {
  send(over, path, body, index, (error) => error ? reject(error) : resolve());
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const every = Number(process.env.BACKGROUND_MS);
if (every) setInterval(() => call('/refresh', plan.backgroundBody(), 0).catch(() => {}), every);

// Lets at most so many in; the one that leaves lets the next in, in its own turn.
class Gate {
  constructor(places) {
    this.places = places;
    this.waiting = [];
  }
  enter() {
    if (this.places > 0) {
      this.places--;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.waiting.push(resolve));
  }
  leave() {
    const next = this.waiting.shift();
    if (next) next();
    else this.places++;
  }
  async within(work) {
    await this.enter();
    try {
      return await work();
    } finally {
      this.leave();
    }
  }
}

async function steps(request, body, pause, one) {
  for (const step of plan.steps(body)) {
    if (step.pause) await pause(step.pause);
    await Promise.all(step.calls.map((index) => one(request.url, body, index)));
  }
}

const locks = Array.from({length: 4}, () => new Gate(1));
const limit = new Gate(6);

// Connections of our own, each one's client waiting for its turn.
const clients = Array.from({length: 8}, () => new http.Agent({keepAlive: true, maxSockets: 1}));
const wanted = [];
function withClient(work) {
  const client = clients.pop();
  if (!client) return wanted.push(work);
  work(client, function release() {
    const next = wanted.shift();
    if (next) next(client, release);
    else clients.push(client);
  });
}

// fetch with few connections, whose requests wait in its own queue (undici).
async function fetched(path, body, index) {
  const own = Symbol.for('undici.globalDispatcher.1');
  if (!fetched.few) {
    await fetch('http://127.0.0.1:1/').catch(() => {});  // makes the one it is found by
    fetched.few = fetched.few || new globalThis[own].constructor({connections: 4});
    globalThis[own] = fetched.few;
  }
  const response = await fetch(`http://127.0.0.1:${process.env.BACKEND_PORT}${plan.callPath(path, index)}`, {
    method: 'POST', headers: {'Content-Type': 'text/plain'}, body: plan.callBody(body, index),
  });
  await response.text();
  if (!response.ok) throw new Error(`backend answered ${response.status}`);
}

// A token that all share: who finds it too old gets another.
let token = {until: 0, fresh: Promise.resolve()};
function tokenOf() {
  if (Date.now() >= token.until) {
    token = {until: Date.now() + 25, fresh: call('/refresh', plan.backgroundBody(), 0)};
  }
  return token.fresh;
}

// Calls of one tick go out together, out of the context of who came first.
let batch = [];
function batched(path, body, index) {
  return new Promise((resolve, reject) => {
    batch.push(() => call(path, body, index).then(resolve, reject));
    if (batch.length > 1) return;
    setImmediate(() => {
      const all = batch;
      batch = [];
      for (const one of all) one();
    });
  });
}

const threads = [];
const asked = new Map();
let questions = 0;
function inThread() {
  if (!threads.length) {
    for (let i = 0; i < 2; i++) {
      const thread = new Worker(__filename);
      thread.on('message', (id) => {
        asked.get(id)();
        asked.delete(id);
      });
      threads.push(thread);
    }
  }
  return new Promise((resolve) => {
    asked.set(++questions, resolve);
    threads[questions % 2].postMessage(questions);
  });
}

const storage = new AsyncLocalStorage();

// Workers that live for ever take requests from a queue.
const queue = [];
const idle = [];
async function consume() {
  for (;;) {
    const job = queue.shift() || await new Promise((resolve) => idle.push(resolve));
    await job();
  }
}

const HANDOVERS = {
  lock: (request, body) => steps(request, body, sleep,
      (path, body, index) => locks[index % 4].within(() => call(path, body, index))),
  limit: (request, body) => steps(request, body, sleep, (path, body, index) => limit.within(async () => {
    await sleep(1);
    await call(path, body, index);
  })),
  pool: (request, body) => steps(request, body, sleep, (path, body, index) => new Promise((resolve, reject) => {
    withClient((client, release) => call(path, body, index, client).finally(release).then(resolve, reject));
  })),
  fetch: (request, body) => steps(request, body, sleep, fetched),
  shared: (request, body) => steps(request, body, sleep, async (path, body, index) => {
    await tokenOf();
    await call(path, body, index);
  }),
  batch: (request, body) => steps(request, body, sleep, batched),
  storage: (request, body) => storage.run({}, () => steps(request, body, sleep, async (path, body, index) => {
    if (!storage.getStore()) throw new Error('no store');
    await limit.within(() => call(path, body, index));
  })),
  files: (request, body) => steps(request, body, async () => {
    await fs.promises.readFile(__filename);
    await dns.promises.lookup('localhost');
  }, (path, body, index) => new Promise((resolve, reject) => {
    fs.stat(__filename, () => send(agent, path, body, index, (error) => error ? reject(error) : resolve()));
  })),
  immediate: (request, body) => steps(request, body, () => new Promise(setImmediate),
      (path, body, index) => new Promise((resolve, reject) => {
        setImmediate(() => send(agent, path, body, index, (error) => error ? reject(error) : resolve()));
      })),
  threads: (request, body) => steps(request, body, inThread, call),
  callbacks: (request, body, done) => {
    const left = plan.steps(body);
    (function next() {
      const step = left.shift();
      if (!step) return done();
      setTimeout(() => {
        let waiting = step.calls.length;
        const one = (error) => error ? done(error) : --waiting || next();
        for (const index of step.calls) send(agent, request.url, body, index, one);
      }, step.pause);
    })();
  },
  // Nothing but callbacks, and a tick, an immediate or a timer between what ends and what begins.
  between: (request, body, done) => {
    const left = plan.steps(body);
    (function next() {
      const step = left.shift();
      if (!step) return done();
      let waiting = step.calls.length;
      const one = (error) => error ? done(error) : --waiting || setImmediate(next);
      const begin = () => step.calls.forEach((index) => send(agent, request.url, body, index, one));
      if (step.pause) setTimeout(begin, step.pause);
      else process.nextTick(begin);
    })();
  },
  // Timers that go on until they are cleared.
  intervals: (request, body, done) => {
    const left = plan.steps(body);
    (function next() {
      const step = left.shift();
      if (!step) return done();
      let waiting = step.calls.length;
      const one = (error) => {
        if (error) return done(error);
        const timer = setInterval(() => {
          clearInterval(timer);
          --waiting || next();
        }, 1);
      };
      for (const index of step.calls) send(agent, request.url, body, index, one);
    })();
  },
  queue: (request, body) => new Promise((resolve, reject) => {
    const job = () => steps(request, body, sleep, call).then(resolve, reject);
    const free = idle.shift();
    if (free) free(job);
    else queue.push(job);
  }),
};

const how = process.argv[2].replace('-busy', '');
const handover = HANDOVERS[how];
if (how === 'queue') for (let i = 0; i < 6; i++) consume();

http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const end = (error) => error ? response.writeHead(502).end() : response.end('done\n');
    const work = handover(request, Buffer.concat(parts), end);
    if (work) work.then(() => end(), end);
  });
}).listen(Number(process.env.PORT), '127.0.0.1', 4096);
