"""A client built on websockets: `python client.py URL`. It plays the scenario of tests/peers/README.md and prints what
it saw. CA is a file with the certificate to trust; COMPRESS=off declines permessage-deflate.
"""

import asyncio
import os
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

URL = sys.argv[1]
COMPRESS = os.environ.get("COMPRESS", "on")
TLS = ssl.create_default_context(cafile=os.environ["CA"]) if URL.startswith("wss:") and "CA" in os.environ else None


def open_socket(ident):
    return connect(
        f"{URL}?id={ident}",
        subprotocols=["fermata.v2", "fermata.v1"],
        compression=None if COMPRESS == "off" else "deflate",
        max_size=None,
        ping_interval=None,
        proxy=None,
        **({"ssl": TLS} if TLS else {}),
    )


async def ask(socket, text):
    await socket.send(text)
    return await socket.recv()


async def ended(socket):
    try:
        await socket.recv()
    except ConnectionClosed:
        pass
    await socket.wait_closed()
    return f"{socket.close_code} {socket.close_reason}".strip()


def same(answer, sent):
    return "came back whole" if answer == sent else "CAME BACK CHANGED"


async def scenario(prefix):
    socket = await open_socket(f"{prefix}-1")
    extension = [e.name for e in socket.protocol.extensions] or ["none"]
    print(f"open: subprotocol {socket.subprotocol}, extension {extension[0]}")

    print("text:", await ask(socket, "hold it 𝄐 — until the conductor lets go"))

    sent = bytes(range(256))
    binary = await ask(socket, sent)
    print(f"binary: {'true' if isinstance(binary, bytes) else 'false'} {len(binary)} {same(binary, sent)}")

    print("sent in 5 fragments:", await ask(socket, [f"piece {part};" for part in range(5)]))
    print("received in 4 fragments:", await ask(socket, "fragments 4"))

    print("empty:", len(await ask(socket, "")))

    big = os.urandom(10 * 1024 * 1024)
    answer = await ask(socket, big)
    print(f"10 MiB: {len(answer)} {same(answer, big)}")

    await (await socket.ping("are you there"))
    print("pong: are you there")

    await socket.close(4001, "the client is done")
    print("closed by the client:", await ended(socket))

    second = await open_socket(f"{prefix}-2")
    print("the service saw:", await ask(second, f"ending {prefix}-1"))
    await second.send("close 4002 the service is done")
    print("closed by the service:", await ended(second))

    third = await open_socket(f"{prefix}-3")
    print("the service saw:", await ask(third, f"ending {prefix}-2"))
    # websockets sends 1000 where no code is given; its protocol object can send an empty Close.
    third.protocol.send_close()
    third.send_data()
    print("closed without a code:", await ended(third))

    fourth = await open_socket(f"{prefix}-4")
    print("the service saw:", await ask(fourth, f"ending {prefix}-3"))
    fourth.transport.abort()

    fifth = await open_socket(f"{prefix}-5")
    print("gone without a Close, the service saw:", await ask(fifth, f"ending {prefix}-4"))
    await fifth.close(1000)


asyncio.run(scenario(f"websockets-{os.getpid()}-{COMPRESS}"))
