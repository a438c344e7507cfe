// A Socket.IO service with one room: what one visitor says, all others hear.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const server = createServer((_, response) => response.end('a page\n'));
const io = new Server(server, { maxHttpBufferSize: 64 * 1024 * 1024 });

io.on('connection', (socket) => {
  socket.join('room');
  socket.on('say', (text, heard) => {
    socket.to('room').emit('said', text);
    heard(`heard ${text}`);
  });
  socket.on('bytes', (bytes, answer) => answer(bytes));
  socket.on('transport', (answer) => answer(socket.conn.transport.name));
  socket.on('leave', () => socket.disconnect(true));
});

server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`ready ${server.address().port}`);
});
