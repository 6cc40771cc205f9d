"""What is put on the peers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from bench.order import LEAST_SIZE, Order

# How long paced streams go on when the measuring is over, so that no ending falls into it.
_AFTERWARDS_SECONDS = 0.25


class Kind(StrEnum):
    """How streams come and go."""

    PACED = "paced"
    FLOOD = "flood"
    SHORT = "short"
    IDLE = "idle"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Load:
    """One load.

    Attributes:
        name: A word for it.
        title: What it is, in a line.
        kind: How streams come and go.
        streams: How many are open at a time; for ``SHORT``, how many are opened a second.
        rate: Messages a second of each.
        size: Bytes of each text.
        messages: Of each stream, where it isn't a matter of the time.
        stalled: How many further streams aren't read.
        stalled_size: Bytes of each of their texts.
        stalled_messages: How many of these each of them has.
        warm_up: Seconds before what is measured.
        seconds: How long it is measured.
    """

    name: str
    title: str
    kind: Kind
    streams: int
    rate: float = 0
    size: int = LEAST_SIZE
    messages: int = 0
    stalled: int = 0
    stalled_size: int = LEAST_SIZE
    stalled_messages: int = 0
    warm_up: float = 1
    seconds: float = 3

    def order(self, number: int) -> Order:
        """Return what stream ``number`` does."""
        match self.kind:
            case Kind.PACED | Kind.SLOW:
                seconds = self.warm_up + self.seconds + _AFTERWARDS_SECONDS
                messages = math.ceil(seconds * self.rate) + 1
                return Order(messages, self.rate, number / self.streams, self.size)
            case Kind.SHORT:
                return Order(self.messages, self.rate, 0, self.size, held=False)
            case _:
                return Order(None, size=self.size)

    def stalled_order(self) -> Order:
        """Return what a stream does that isn't read."""
        return Order(self.stalled_messages, size=self.stalled_size)


def _paced(streams: int, rate: float) -> Load:
    return Load(
        f"paced-{streams}x{rate:g}",
        f"{streams:,} streams, {rate:g} messages a second each",
        Kind.PACED,
        streams,
        rate,
        # Each stream has had a message by then.
        warm_up=max(1, 1 / rate),
    )


def _idle(streams: int) -> Load:
    return Load(f"idle-{streams}", f"{streams:,} open, silent streams", Kind.IDLE, streams)


PACED_200 = _paced(200, 50)
PACED_2000 = _paced(2000, 5)
PACED_50 = _paced(50, 50)
FLOOD = Load("flood", "50 streams, as fast as it goes", Kind.FLOOD, 50)
SHORT = Load(
    "short",
    "100 new connections a second, each a stream of 20 messages in 0.2 seconds",
    Kind.SHORT,
    100,
    rate=100,
    messages=20,
)
IDLE_2000 = _idle(2000)
IDLE_10000 = _idle(10_000)
LARGE = Load(
    "large",
    "50 streams, 10 messages of 64 KB a second each",
    Kind.PACED,
    50,
    rate=10,
    size=64 * 1024,
)
SLOW = Load(
    "slow",
    "50 streams, 50 messages a second each, and beside them 50 that aren't read, of 8 MB each",
    Kind.SLOW,
    50,
    rate=50,
    stalled=50,
    stalled_size=16 * 1024,
    stalled_messages=512,
)
GROWTH_MESSAGES = 10_000
GROWTH = tuple(
    _paced(streams, GROWTH_MESSAGES / streams) for streams in (50, 1000, 2500, 5000, 10_000)
)
WORKERS = Load(
    "workers",
    "3,000 new connections a second, each a stream of one message, on all cores",
    Kind.SHORT,
    3000,
    messages=1,
)
BALANCE = Load("balance", "1,000 open, silent streams on all workers", Kind.IDLE, 1000)
