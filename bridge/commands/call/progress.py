"""How far an RPC has come."""

from __future__ import annotations

import time


class Progress:
    """Counts messages, and the time since the start.

    Attributes:
        messages: How many have come.
    """

    def __init__(self) -> None:
        self.messages = 0
        self._started = time.monotonic()

    def restart(self) -> None:
        """Take this moment for the start."""
        self._started = time.monotonic()

    def __str__(self) -> str:
        messages = "1 message" if self.messages == 1 else f"{self.messages or 'no'} messages"
        return f"{messages} in {time.monotonic() - self._started:.2f} s"
