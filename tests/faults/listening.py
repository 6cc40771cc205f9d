"""Ends a listener of asyncio with nothing of it left."""

from __future__ import annotations

import asyncio


async def stop_listening(server: asyncio.Server) -> None:
    """Take no more connections; those that are open stay.

    A server that is closed in the very step in which it has accepted a connection forgets it,
    open as it is (https://github.com/python/cpython/issues/109564).
    """
    loop = asyncio.get_running_loop()
    for listener in server.sockets:
        loop.remove_reader(listener.fileno())
    await asyncio.sleep(0)
    server.close()
