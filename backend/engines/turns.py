"""A bounded queue for something that few can use at a time."""

from __future__ import annotations

import asyncio

import grpc

from backend.status import RpcError, retry_info

RETRY_AFTER = 1.0


class Turns:
    """Gives turns in the order of asking.

    Args:
        at_once: How many can have a turn at the same time.
        waiting: How many can wait for one.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._may_wait = waiting
        self._waiting = 0

    async def take(self) -> None:
        """Wait for a turn.

        Raises:
            RpcError: RESOURCE_EXHAUSTED with a ``google.rpc.RetryInfo``: too many wait already.
        """
        if self._free.locked() and self._waiting >= self._may_wait:
            raise RpcError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"the model is busy, and {self._waiting} requests wait for it already",
                [retry_info(RETRY_AFTER)],
            )
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    def end(self) -> None:
        """End a turn."""
        self._free.release()
