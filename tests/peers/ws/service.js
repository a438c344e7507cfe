// A service built on ws, as one would build it: an echo that can also be asked a few things about itself.
// What it answers is written down in tests/peers/README.md; websockets/service.py answers the same.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const server = createServer((request, response) => {
  response.end(`${request.method} ${request.url}\n`);
});
const sockets = new WebSocketServer({
  server,
  maxPayload: 0,
  maxFragments: 0,
  maxBufferedChunks: 0,
  // Small messages too, so that every message of a test is compressed where compression was agreed on.
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => (offered.has('fermata.v1') ? 'fermata.v1' : false),
});

// How each connection ended, by the id in its query; a question about one may come before its end does.
const endings = new Map();
function ending(id) {
  if (!endings.has(id)) {
    const slot = {};
    slot.known = new Promise((resolve) => (slot.resolve = resolve));
    endings.set(id, slot);
  }
  return endings.get(id);
}

sockets.on('connection', (socket, request) => {
  const id = new URL(request.url, 'http://service').searchParams.get('id');
  socket.on('error', () => {});
  if (id) socket.on('close', (code, reason) => ending(id).resolve(`${code} ${reason}`.trim()));
  socket.on('message', async (data, isBinary) => {
    const [word, ...rest] = isBinary || !id ? [] : data.toString().split(' ');
    switch (word) {
      case 'describe':
        return socket.send(describe(request));
      case 'ending':
        return socket.send(await ending(rest[0]).known);
      case 'close':
        return socket.close(Number(rest[0]), rest.slice(1).join(' '));
      case 'vanish':
        return socket.terminate();
      case 'fragments': {
        const last = Number(rest[0]) - 1;
        for (let part = 0; part <= last; part++) socket.send(`part ${part};`, { fin: part === last });
        return undefined;
      }
      default:
        return socket.send(data, { binary: isBinary });
    }
  });
});

function describe(request) {
  const seen = (name) => `${name}: ${request.headers[name] ?? '-'}`;
  const names = ['host', 'origin', 'cookie', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'];
  return [`${request.method} ${request.url}`, ...names.map(seen)].join('\n');
}

server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`ready ${server.address().port}`);
});
