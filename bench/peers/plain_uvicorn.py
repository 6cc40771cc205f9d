"""A floor: uvicorn that sends SSE, with no gRPC and no framework. stdin has the ``Go``."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator

import orjson
from starlette.types import Receive, Scope, Send

from bench.order import Go, Order, last_text, stamped_text
from bench.peers.asgi import serve

_HEADERS = [(b"content-type", b"text/event-stream")]


class Source:
    """An ASGI application that makes the messages itself."""

    def __init__(self) -> None:
        self._go: asyncio.Future[Go] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is ordered."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        order = Order.from_json(json.loads(await _body(receive))["messages"][-1]["content"])
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        number = 0
        async for _ in self._due(order):
            await _frame(send, stamped_text(number, time.monotonic_ns(), order.size))
            number += 1
        await _frame(send, last_text(number))
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        loop = asyncio.get_running_loop()
        go: asyncio.Future[Go] = loop.create_future()
        self._go = go

        def read() -> None:
            if line := sys.stdin.readline():
                go.set_result(Go.from_json(line))
            loop.remove_reader(sys.stdin)

        loop.add_reader(sys.stdin, read)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _due(self, order: Order) -> AsyncIterator[None]:
        assert self._go is not None
        go = await self._go if order.held else None
        if order.messages is None:
            assert go is not None
            while time.monotonic_ns() < go.end:
                yield
                # Nothing else would let another stream have its turn.
                await asyncio.sleep(0)
            return
        start = go.start if go else time.monotonic_ns()
        for number in range(order.messages):
            if order.rate:
                at = start / 1e9 + (number + order.phase) / order.rate
                await asyncio.sleep(max(0, at - time.monotonic()))
            yield


async def _body(receive: Receive) -> bytes:
    event = await receive()
    body: bytes = event["body"]
    while event["more_body"]:
        event = await receive()
        body += event["body"]
    return body


async def _frame(send: Send, text: str) -> None:
    body = b'data: {"content":' + orjson.dumps(text) + b"}\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})


if __name__ == "__main__":
    serve(Source())
