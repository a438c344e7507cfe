// Many Socket.IO visitors at once, each as a browser comes: long polling first, then WebSocket, with cookies.
// `node many.js COUNT URL` prints how many came, by what they stay on, and the errors, if any.
import { io } from 'socket.io-client';

const [count, url] = process.argv.slice(2);
const seen = new Map();
const note = (what) => seen.set(what, (seen.get(what) ?? 0) + 1);

await Promise.all(
  Array.from({ length: Number(count) }, async () => {
    const socket = io(url, { forceNew: true, reconnection: false, withCredentials: true });
    try {
      await new Promise((resolve, reject) => {
        socket.on('connect_error', reject);
        socket.on('disconnect', (why) => reject(new Error(why)));
        socket.io.on('open', () => socket.io.engine.on('upgrade', resolve));
      });
      note(`stays on ${socket.io.engine.transport.name}, the service says ${await socket.emitWithAck('transport')}`);
    } catch (error) {
      note(`failed: ${error.message} ${error.description ?? ''}`);
    }
    socket.off('disconnect');
    socket.disconnect();
  }),
);
for (const [what, times] of seen) console.log(`${times} ${what}`);
