// A client built on ws: `node client.js URL`. It plays the scenario of tests/peers/README.md and prints what it saw.
// CA is a file with the certificate to trust; COMPRESS=off declines permessage-deflate.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import WebSocket from 'ws';

const url = process.argv[2];
const options = {
  perMessageDeflate: process.env.COMPRESS === 'off' ? false : { threshold: 0 },
  maxPayload: 0,
  ...(process.env.CA && { ca: readFileSync(process.env.CA) }),
};

function open(id) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url}?id=${id}`, ['fermata.v2', 'fermata.v1'], options);
    socket.waiting = [];
    socket.early = [];
    socket.on('message', (data, isBinary) => {
      const take = socket.waiting.shift();
      if (take) take({ data, isBinary });
      else socket.early.push({ data, isBinary });
    });
    socket.ended = new Promise((done) => socket.on('close', (code, reason) => done(`${code} ${reason}`.trim())));
    socket.on('error', reject);
    socket.on('open', () => resolve(socket));
  });
}

function next(socket) {
  const early = socket.early.shift();
  return early ? Promise.resolve(early) : new Promise((take) => socket.waiting.push(take));
}

async function ask(socket, text) {
  socket.send(text);
  return (await next(socket)).data.toString();
}

const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
const same = (answer, sent) => (digest(answer.data) === digest(sent) ? 'came back whole' : 'CAME BACK CHANGED');

async function scenario(prefix) {
  const socket = await open(`${prefix}-1`);
  const deflate = socket.extensions.startsWith('permessage-deflate') ? 'permessage-deflate' : 'none';
  console.log(`open: subprotocol ${socket.protocol}, extension ${deflate}`);

  console.log(`text: ${await ask(socket, 'hold it 𝄐 — until the conductor lets go')}`);

  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  socket.send(bytes);
  const binary = await next(socket);
  console.log(`binary: ${binary.isBinary} ${binary.data.length} ${same(binary, bytes)}`);

  for (let part = 0; part < 5; part++) socket.send(`piece ${part};`, { fin: part === 4 });
  console.log(`sent in 5 fragments: ${(await next(socket)).data}`);
  console.log(`received in 4 fragments: ${await ask(socket, 'fragments 4')}`);

  const empty = await ask(socket, '');
  console.log(`empty: ${empty.length}`);

  const big = randomBytes(10 * 1024 * 1024);
  socket.send(big);
  const answer = await next(socket);
  console.log(`10 MiB: ${answer.data.length} ${same(answer, big)}`);

  const pong = new Promise((resolve) => socket.once('pong', (data) => resolve(data.toString())));
  socket.ping('are you there');
  console.log(`pong: ${await pong}`);

  socket.close(4001, 'the client is done');
  console.log(`closed by the client: ${await socket.ended}`);

  const second = await open(`${prefix}-2`);
  console.log(`the service saw: ${await ask(second, `ending ${prefix}-1`)}`);
  second.send('close 4002 the service is done');
  console.log(`closed by the service: ${await second.ended}`);

  const third = await open(`${prefix}-3`);
  console.log(`the service saw: ${await ask(third, `ending ${prefix}-2`)}`);
  third.close();
  console.log(`closed without a code: ${await third.ended}`);

  const fourth = await open(`${prefix}-4`);
  console.log(`the service saw: ${await ask(fourth, `ending ${prefix}-3`)}`);
  fourth.terminate();

  const fifth = await open(`${prefix}-5`);
  console.log(`gone without a Close, the service saw: ${await ask(fifth, `ending ${prefix}-4`)}`);
  fifth.close(1000);
  await fifth.ended;
}

await scenario(`ws-${process.pid}-${process.env.COMPRESS ?? 'on'}`);
