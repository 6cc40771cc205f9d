"""The streams that are open, so that a shutdown can end each of them with a verdict."""

from __future__ import annotations

from typing import Protocol


class Cuttable(Protocol):
    """A stream that can be ended from outside."""

    def cut(self) -> None:
        """End the stream now, with a verdict."""
        ...


class OpenStreams:
    """The set of open streams; after ``cut_all`` a stream that is added is cut at once."""

    def __init__(self) -> None:
        self._streams: set[Cuttable] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: Cuttable) -> None:
        """List a stream that starts."""
        self._streams.add(stream)
        if self._closed:
            stream.cut()

    def discard(self, stream: Cuttable) -> None:
        """Forget a stream that has ended."""
        self._streams.discard(stream)

    def cut_all(self) -> None:
        """Cut every open stream, and every one that is still to come."""
        self._closed = True
        for stream in tuple(self._streams):
            stream.cut()
