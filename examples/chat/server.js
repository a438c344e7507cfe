// A chat with rooms. One process, no database: who is here and the last messages are kept in memory.
//
// It knows nothing of Fermata: it listens at PORT, answers /healthz, and ends when it is asked to.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { WebSocketServer } from "ws";

const PAGE = readFileSync(new URL("page.html", import.meta.url));
const HISTORY = 50;            // messages that a newcomer sees
const MAX_TEXT = 2000;         // characters of a message
const MAX_NAME = 24;           // characters of a name
const MAX_ROOMS = 1000;
const GRACE = 4000;            // ms that somebody may be gone before the others are told

/** name -> { members: Map(id -> { name, socket, leaving }), history: [message] } */
const rooms = new Map();

const http = createServer((request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  if (path === "/healthz") return response.writeHead(200, { "content-type": "text/plain" }).end("ok\n");
  if (path === "/" || /^\/room\/[a-z0-9-]{1,32}$/.test(path)) {
    return response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(PAGE);
  }
  response.writeHead(404, { "content-type": "text/plain" }).end("There is no such page. Try /\n");
});

const sockets = new WebSocketServer({ noServer: true, maxPayload: 16 * 1024 });

// A handshake that makes no sense is refused with a status, not with a 101 and a Close.
http.on("upgrade", (request, socket, head) => {
  const url = new URL(request.url, "http://localhost");
  const room = url.pathname.match(/^\/socket\/([a-z0-9-]{1,32})$/)?.[1];
  const name = (url.searchParams.get("name") ?? "").trim().slice(0, MAX_NAME);
  const id = url.searchParams.get("id") ?? "";
  if (!room) return refuse(socket, "404 Not Found", "Sockets are at /socket/ROOM");
  if (!name || !/^[\w-]{8,64}$/.test(id)) return refuse(socket, "400 Bad Request", "A name and an id are needed");
  if (!rooms.has(room) && rooms.size >= MAX_ROOMS) return refuse(socket, "503 Service Unavailable", "Too many rooms");
  sockets.handleUpgrade(request, socket, head, opened => enter(opened, room, id, name));
});

function refuse(socket, status, why) {
  socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${why.length + 1}\r\nConnection: close\r\n\r\n${why}\n`);
}

function enter(socket, roomName, id, name) {
  const room = rooms.get(roomName) ?? { members: new Map(), history: [] };
  rooms.set(roomName, room);
  const before = room.members.get(id);
  clearTimeout(before?.leaving);
  if (before?.socket && before.socket !== socket) before.socket.close(4001, "you opened the room again");
  room.members.set(id, { name, socket });
  send(socket, { type: "welcome", you: id, members: present(room), history: room.history });
  if (!before || before.name !== name) tell(room, { type: "members", members: present(room), joined: name }, id);

  socket.on("message", bytes => {
    let message;
    try { message = JSON.parse(bytes); } catch { return socket.close(1007, "messages are JSON"); }
    if (message?.type === "typing") return tell(room, { type: "typing", name }, id);
    const text = String(message?.text ?? "").trim().slice(0, MAX_TEXT);
    if (message?.type !== "say" || !text) return;
    const said = { type: "said", key: randomUUID(), id, name, text, at: Date.now() };
    room.history.push(said);
    if (room.history.length > HISTORY) room.history.shift();
    tell(room, said);
  });
  socket.on("error", () => {});  // the close that follows says it all
  socket.on("close", () => {
    const member = room.members.get(id);
    if (member?.socket !== socket) return;
    member.socket = null;
    // Who reconnects in time never left, as far as the others can see.
    member.leaving = setTimeout(() => {
      room.members.delete(id);
      if (room.members.size) tell(room, { type: "members", members: present(room), left: name });
      else if (!room.history.length) rooms.delete(roomName);
    }, GRACE).unref();
  });
}

function present(room) {
  return [...room.members].map(([id, { name }]) => ({ id, name }));
}

function tell(room, message, except) {
  const text = JSON.stringify(message);
  for (const [id, { socket }] of room.members) if (id !== except && socket?.readyState === 1) socket.send(text);
}

function send(socket, message) {
  socket.send(JSON.stringify(message));
}

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    http.close();
    for (const socket of sockets.clients) socket.close(1001, "the chat ends");
    setTimeout(() => process.exit(0), 500).unref();
    http.closeIdleConnections();
  });
}

http.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => console.log(`the chat listens on port ${http.address().port}`));
