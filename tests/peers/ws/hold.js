// Holds sockets: `node hold.js COUNT URL…`, in turns over the URLs. Prints `open COUNT` when all are open, and then a line for
// each that ends: `closed CODE`. On SIGUSR2 it sends a message over each that is open, and prints `echoed COUNT` when all
// have come back.
import { once } from 'node:events';
import WebSocket from 'ws';

const [count, ...urls] = process.argv.slice(2);
const sockets = await Promise.all(
  Array.from({ length: Number(count) }, async (_, number) => {
    const socket = new WebSocket(urls[number % urls.length]);
    await once(socket, 'open');
    return socket;
  }),
);
for (const socket of sockets) {
  socket.on('close', (code) => console.log(`closed ${code}`));
  socket.on('error', () => {});
}
process.on('SIGUSR2', async () => {
  const open = sockets.filter((socket) => socket.readyState === WebSocket.OPEN);
  await Promise.all(
    open.map((socket) => {
      const back = once(socket, 'message');
      socket.send('there?');
      return back;
    }),
  );
  console.log(`echoed ${open.length}`);
});
console.log(`open ${sockets.length}`);
