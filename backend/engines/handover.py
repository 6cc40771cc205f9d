"""Hands values from a thread to the event loop, and no more than are taken."""

from __future__ import annotations

import asyncio
import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """A bounded queue with a thread at one end and a coroutine at the other.

    It is made on the event loop.

    Args:
        room: How many values may lie in it; then `put` waits.
    """

    def __init__(self, room: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._values: asyncio.Queue[T | None] = asyncio.Queue()
        self._room = threading.Semaphore(room)
        self._abandoned = False

    def put(self, value: T) -> bool:
        """Hand over ``value``, in the thread; return False if nobody takes it any more."""
        self._room.acquire()
        if self._abandoned:
            return False
        self._loop.call_soon_threadsafe(self._values.put_nowait, value)
        return True

    def close(self) -> None:
        """Say, on the event loop, that no value comes after those that were handed over."""
        self._values.put_nowait(None)

    def abandon(self) -> None:
        """Take no more; a thread that waits in `put` goes on at once."""
        self._abandoned = True
        self._room.release()

    async def take(self) -> T | None:
        """Wait for the next value; None after the last."""
        value = await self._values.get()
        self._room.release()
        return value
