// The work a request asks for (services/README.md), for the Node services.
'use strict';

const INDEX_AT = 3104;
const DISTINCT = ['/users', '/stock', '/price', '/offers', '/audit'];

// [{pause: ms, calls: [indexes of the calls to make at once]}]
function steps(body) {
  const d = [...body.toString('latin1', 3072, INDEX_AT)].map((c) => parseInt(c, 16));
  const calls = [0, 1, 2, 3, 4].filter((i) => i < 1 + (d[0] % 5) && (i === 0 || d[1 + i] >= 4));
  let groups;
  if (d[6] % 3 === 0) groups = calls.map((i) => [i]);
  else if (d[6] % 3 === 1) groups = [calls];
  else groups = calls.length > 1 ? [calls.slice(0, 1), calls.slice(1)] : [calls];
  return groups.map((group) => ({pause: d[7 + group[0]] / 4, calls: group}));
}

function callBody(body, index) {
  const out = Buffer.from(body);
  out.write(String(index).padStart(2, '0'), INDEX_AT, 'latin1');
  return out;
}

function callPath(incoming, index) {
  if (incoming === '/refresh') return incoming;
  return incoming === '/order' ? DISTINCT[index] : '/query';
}

const backgroundBody = () => Buffer.from('.'.repeat(3072) + '-'.repeat(32) + '00' + '.'.repeat(63) + '\n');

module.exports = {backgroundBody, steps, callBody, callPath};
