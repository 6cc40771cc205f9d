"""Ends what takes longer than it may, with one timer for all."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol


class Expiring(Protocol):
    """Something that may take only so long."""

    def expire(self) -> None:
        """End it."""
        ...


class Countdown:
    """Gives all that is started the same time.

    What starts first ends first, so one timer, for the first, serves any number.

    Args:
        seconds: How long each may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: OrderedDict[Expiring, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, one: Expiring) -> None:
        """Give ``one`` its time, unless that is running."""
        if one not in self._ends:
            loop = asyncio.get_running_loop()
            self._ends[one] = loop.time() + self._seconds
            if self._timer is None:
                self._timer = loop.call_at(self._ends[one], self._expire)

    def stop(self, one: Expiring) -> None:
        """Forget ``one``."""
        self._ends.pop(one, None)

    def _expire(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._ends:
            one, end = next(iter(self._ends.items()))
            if end > now:
                self._timer = loop.call_at(end, self._expire)
                return
            del self._ends[one]
            one.expire()
