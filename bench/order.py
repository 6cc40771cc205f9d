"""What a stream is asked for: the content of the user's message, which every peer hands on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

# A marker, the number of the message in its stream, the CLOCK_MONOTONIC in nanoseconds of its
# making, and filler. Fixed in width, so that both ends handle it at the speed of C.
NUMBER_DIGITS = 7
STAMP_DIGITS = 16
LEAST_SIZE = 1 + NUMBER_DIGITS + STAMP_DIGITS
FILLER = b"x"

MODEL = "bench"
PROMPT_TOKENS = 7


@dataclass(frozen=True, slots=True)
class Order:
    """What one stream does.

    After its messages comes one that says how many they were (``=`` and the number), with the
    finish reason and the usage, and then the status OK.

    Attributes:
        messages: How many messages; None for as many as go through until the flood's end.
        rate: Messages a second; 0 for as fast as they go.
        phase: Which part of the interval between two messages passes before the first, so that
            the messages of many streams are due at times of their own.
        size: Bytes of each text.
        held: Whether the stream waits, after its headers, until all are told to go.
    """

    messages: int | None
    rate: float = 0
    phase: float = 0
    size: int = LEAST_SIZE
    held: bool = True

    def to_json(self) -> str:
        """Return it as the content of a message."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Go:
    """Tells the streams that are held to begin, and everybody when it is measured.

    Times are of CLOCK_MONOTONIC, which all processes share, in nanoseconds.

    Attributes:
        start: When the first messages are due.
        begin: When what is measured begins.
        end: When it ends, and with it a flood.
    """

    start: int
    begin: int
    end: int

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Go:
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(text))


def stamped_text(number: int, now: int, size: int) -> str:
    """Return the text of a message."""
    return f"#{number:0{NUMBER_DIGITS}d}{now:0{STAMP_DIGITS}d}".ljust(size, FILLER.decode())


def last_text(count: int) -> str:
    """Return the text of the message that says how many there were."""
    return f"={count:0{NUMBER_DIGITS}d}"


def read_text(text: str) -> tuple[int, int]:
    """Return the number and the stamp of a message."""
    until = 1 + NUMBER_DIGITS
    return int(text[1:until]), int(text[until : until + STAMP_DIGITS])
