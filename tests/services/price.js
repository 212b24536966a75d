// A plain Node service: answers /price/ID, after asking the next service.
const http = require('http');

const next = process.env.NEXT;
const listen = new URL('http://' + process.env.LISTEN);
const agent = new http.Agent({keepAlive: true});

http.createServer((request, response) => {
  const id = request.url.split('/').pop();
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    if (!next) return response.end('node\n');
    const body = Buffer.concat(chunks);
    const call = http.request(`${next}/${id}`, {method: request.method, agent, headers: {'Content-Length': body.length}}, (reply) => {
      response.write('node > ');
      reply.pipe(response);
    });
    call.on('error', (error) => {
      response.statusCode = 502;
      response.end(String(error));
    });
    call.end(body);
  });
}).listen(listen.port, listen.hostname.replace(/[\[\]]/g, ''));
