"""A peer that loses something of each stream that is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.order import Order
from bench.peers.asgi import serve
from bench.peers.plain_uvicorn import Source

LOSSES = ("a byte of a frame", "a message", "two change places", "the ending")


class Lossy:
    """Hands on what ``app`` sends, but not all of it: each stream loses something else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._streams = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loss = ""
        bodies = count()
        kept: list[Message] = []

        async def hear() -> Message:
            nonlocal loss
            message = await receive()
            if _is_held(message):
                loss = LOSSES[next(self._streams) % len(LOSSES)]
            return message

        async def tell(message: Message) -> None:
            is_body = message["type"] == "http.response.body"
            left = _left(loss, next(bodies), message, kept) if is_body else [message]
            for each in left:
                await send(each)

        await self._app(scope, hear, tell)


def _is_held(request: Message) -> bool:
    if not request.get("body"):
        return False
    return Order.from_json(json.loads(request["body"])["messages"][-1]["content"]).held


def _left(loss: str, number: int, message: Message, kept: list[Message]) -> Iterator[Message]:
    match loss, number:
        case "a byte of a frame", 3:
            yield {**message, "body": message["body"].replace(b"#", b"", 1)}
        case "a message", 3:
            pass
        case "two change places", 3:
            kept.append(message)
        case "the ending", _ if not message.get("more_body"):
            yield {**message, "body": b""}
        case _:
            yield message
            yield from kept
            kept.clear()


if __name__ == "__main__":
    serve(Lossy(Source()))
