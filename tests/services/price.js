// A plain Node service: answers /price/ID, after asking the next service, which it does after a random pause of at most
// PAUSE ms.
const http = require('http');

const next = process.env.NEXT;
const listen = new URL('http://' + process.env.LISTEN);
const pause = Number(process.env.PAUSE || 0);
const agent = new http.Agent({keepAlive: true});

http.createServer((request, response) => {
  const id = request.url.split('/').pop();
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    if (!next) return response.end('node\n');
    const body = Buffer.concat(chunks);
    const ask = () => {
      const call = http.request(`${next}/${id}`, {method: request.method, agent, headers: {'Content-Length': body.length}}, (reply) => {
        response.write('node > ');
        reply.pipe(response);
      });
      call.on('error', (error) => {
        response.statusCode = 502;
        response.end(String(error));
      });
      call.end(body);
    };
    if (pause) setTimeout(ask, Math.random() * pause);
    else ask();
  });
}).listen(listen.port, listen.hostname.replace(/[\[\]]/g, ''));
