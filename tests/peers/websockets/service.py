"""A service built on websockets, as one would build it: an echo that can also be asked a few things about itself.

What it answers is written down in tests/peers/README.md; ws/service.js answers the same.
"""

import asyncio
import os
from collections import defaultdict
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

# How each connection ended, by the id in its query; a question about one may come before its end does.
endings = defaultdict(lambda: asyncio.get_running_loop().create_future())

NAMES = ["host", "origin", "cookie", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]


def describe(request):
    lines = [f"GET {request.path}"]
    lines += [f"{name}: {request.headers.get(name, '-')}" for name in NAMES]
    return "\n".join(lines)


async def answer(socket, ident, message):
    word, *rest = message.split(" ") if ident and isinstance(message, str) else [None]
    match word:
        case "describe":
            await socket.send(describe(socket.request))
        case "ending":
            await socket.send(await endings[rest[0]])
        case "close":
            await socket.close(int(rest[0]), " ".join(rest[1:]))
        case "vanish":
            socket.transport.abort()
        case "fragments":
            await socket.send([f"part {part};" for part in range(int(rest[0]))])
        case _:
            await socket.send(message)


async def converse(socket):
    ident = parse_qs(urlsplit(socket.request.path).query).get("id", [None])[0]
    try:
        async for message in socket:
            await answer(socket, ident, message)
    except ConnectionClosedError:
        pass  # what it ended with is read below
    await socket.wait_closed()
    if ident:
        endings[ident].set_result(f"{socket.close_code} {socket.close_reason}".strip())


async def main():
    server = await serve(
        converse,
        "127.0.0.1",
        int(os.environ.get("PORT", "0")),
        max_size=None,
        ping_interval=None,
        subprotocols=["fermata.v1"],
        extensions=[ServerPerMessageDeflateFactory()],
    )
    print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
