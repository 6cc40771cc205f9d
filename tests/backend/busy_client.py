"""A client to be killed: ``python -m tests.backend.busy_client host:port``."""

from __future__ import annotations

import asyncio
import sys

import grpc

from tests.backend.calls import asking, client_of


async def main(address: str) -> None:
    """Read two streams, one that is never silent and one that always is."""
    async with client_of(address) as client:
        silent = client.call(asking('{"hang_after": 0}'), metadata=(("x-request-id", "silent"),))
        busy = client.call(
            asking('{"text": "a", "count": 1000000}'), metadata=(("x-request-id", "busy"),)
        )
        await busy.read()
        sys.stdout.write("reading\n")
        sys.stdout.flush()
        while await busy.read() is not grpc.aio.EOF:
            pass
        await silent.read()


asyncio.run(main(sys.argv[1]))
