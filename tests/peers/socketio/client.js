// Two Socket.IO visitors in one room: `node client.js URL TRANSPORTS`, with TRANSPORTS "upgrade" (long polling first, then
// WebSocket), "websocket" or "polling". Prints what they saw. CA is a file with the certificate to trust.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { io } from 'socket.io-client';

const [url, how] = process.argv.slice(2);
const transports = how === 'upgrade' ? ['polling', 'websocket'] : [how];
const options = {
  transports,
  forceNew: true,
  reconnection: false,
  ...(process.env.CA && { ca: readFileSync(process.env.CA) }),
};

async function visit() {
  const socket = io(url, options);
  socket.on('connect_error', (error) => {
    console.log(`cannot connect: ${error.message} ${error.description?.message ?? ''}`);
    process.exit(1);
  });
  await once(socket.io, 'open');
  const { engine } = socket.io;
  const first = engine.transport.name;
  const upgraded = how === 'upgrade' ? once(engine, 'upgrade') : undefined;
  await Promise.all([once(socket, 'connect'), upgraded]);
  return { socket, first };
}

const one = await visit();
const two = await visit();
for (const [name, { socket, first }] of Object.entries({ one, two })) {
  const now = socket.io.engine.transport.name;
  console.log(`${name}: came by ${first}, stays on ${now}, the service says ${await socket.emitWithAck('transport')}`);
}

const said = once(two.socket, 'said');
console.log(`one: ${await one.socket.emitWithAck('say', 'hold it 𝄐')}`);
console.log(`two: ${(await said)[0]}`);

const bytes = randomBytes(2 * 1024 * 1024);
const back = await two.socket.emitWithAck('bytes', bytes);
console.log(`two: ${back.length} bytes ${bytes.equals(back) ? 'came back whole' : 'CAME BACK CHANGED'}`);

one.socket.emit('leave');
console.log(`one: ${(await once(one.socket, 'disconnect'))[0]}`);
two.socket.disconnect();
console.log(`two: still ${two.socket.connected ? 'connected' : 'gone'}`);
