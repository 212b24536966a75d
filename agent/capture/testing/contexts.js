// Lines over TCP that say in which asynchronous context they were written: "exec 12 trigger 3", and of continuations of
// promises "resolved by 14".
'use strict';

const {executionAsyncId, triggerAsyncId} = require('async_hooks');
const fs = require('fs');
const net = require('net');

const kClients = 4;
const kLines = 5;

const server = net.createServer((socket) => socket.resume());

function byTimers(socket, left, done) {
  if (left === 0) return done();
  setTimeout(() => {
    socket.write(`exec ${executionAsyncId()} trigger ${triggerAsyncId()}\n`);
    byTimers(socket, left - 1, done);
  }, left % 3);
}

// The timer's callback must be the promise's own resolve, as most code has it.
const sleep = (ms) => {
  let timer;
  const done = new Promise((resolve) => timer = setTimeout(resolve, ms));
  const id = timer[Object.getOwnPropertySymbols(timer).find((symbol) => symbol.description === 'asyncId')];
  return done.then(() => id);
};

async function byPromises(socket) {
  for (let i = 0; i < kLines; i++) {
    const id = await sleep(i % 3);
    socket.write(`resolved by ${id}\n`);
    await fs.promises.readFile(__filename);
  }
}

async function main() {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connect = () => new Promise((resolve) => {
    const socket = net.connect(server.address().port, '127.0.0.1', () => resolve(socket));
  });
  const work = [];
  for (let i = 0; i < kClients; i++) {
    const socket = await connect();
    work.push(i % 2 ? byPromises(socket) : new Promise((done) => byTimers(socket, kLines, done)));
  }
  await Promise.all(work);
  process.exit(0);
}

process.stdin.once('data', main);
process.stdout.write('.');
