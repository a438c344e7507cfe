// A client that says a few things: `node say.js URL TEXT…`. Prints the answer to each, and then waits for the end of the
// connection, whoever brings it about, and prints how it ended. CA is a file with the certificate to trust.
import { readFileSync } from 'node:fs';
import WebSocket from 'ws';

const [url, ...texts] = process.argv.slice(2);
const socket = new WebSocket(url, 'fermata.v1', { ...(process.env.CA && { ca: readFileSync(process.env.CA) }) });

const say = () => texts.length && socket.send(texts.shift());
socket.on('open', say);
socket.on('message', (data) => {
  console.log(data.toString());
  say();
});
socket.on('unexpected-response', async (_, response) => {
  const body = (await response.toArray()).join('').trim();
  console.log(`refused: ${response.statusCode} ${body}`);
  socket.terminate();
});
socket.on('error', () => {});
socket.on('close', (code, reason) => console.log(`ended: ${code} ${reason}`.trim()));
