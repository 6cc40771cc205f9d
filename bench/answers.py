"""Short streams of a peer before it is measured: the first, and some to warm it up."""

from __future__ import annotations

import asyncio
import socket
import time

import httptools

from bench.children import Child
from bench.order import Order
from bench.wire import Grammar, Reading, Wire

HOST = "127.0.0.1"
_START_SECONDS = 30
_READY_EVERY = 0.002
_WARM_UP_ANSWERS = 30
_SHORT = Order(messages=20, held=False)


async def first_answer(running: Child, wire: Wire, port: int) -> float:
    """Wait until a peer has answered; return the seconds that it took.

    Raises:
        RuntimeError: it has ended, or does not answer.
    """
    began = time.monotonic()
    while time.monotonic() - began < _START_SECONDS:
        if not running.runs:
            break
        if await asyncio.to_thread(_answers, wire, port):
            return time.monotonic() - began
        await asyncio.sleep(_READY_EVERY)
    raise RuntimeError(running.last_words())


def warm_up(wire: Wire, port: int) -> None:
    """Have some short streams from a peer, one after the other."""
    for _ in range(_WARM_UP_ANSWERS):
        _answers(wire, port)


def _answers(wire: Wire, port: int) -> bool:
    """Return whether a short stream comes through whole."""
    pieces: list[bytes] = []
    ended: list[bool] = []

    class _Events:
        def on_body(self, body: bytes) -> None:
            pieces.append(body)

        def on_message_complete(self) -> None:
            ended.append(True)

    parser = httptools.HttpResponseParser(_Events())
    try:
        with socket.create_connection((HOST, port), timeout=_START_SECONDS) as client:
            client.sendall(wire.request(f"{HOST}:{port}", _SHORT))
            while not ended:
                data = client.recv(65536)
                if not data:
                    return False
                parser.feed_data(data)
    except OSError:
        return False
    reading = Reading(Grammar(wire, _SHORT.size))
    reading.feed(b"".join(pieces))
    reading.finish()
    return not reading.fault
