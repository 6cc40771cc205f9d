"""The streams that are open, which a shutdown ends."""

from __future__ import annotations

from typing import Protocol


class OpenStream(Protocol):
    """A stream, as far as it is moved from outside."""

    def cut(self) -> None:
        """End the stream now, with a verdict."""
        ...


class OpenStreams:
    """The set of open streams; after ``cut_all`` a stream that is added is cut at once.

    Attributes:
        draining: Whether the bridge has been told to stop.
    """

    def __init__(self) -> None:
        self.draining = False
        self._streams: set[OpenStream] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: OpenStream) -> None:
        """List a stream that starts."""
        self._streams.add(stream)
        if self._closed:
            stream.cut()

    def discard(self, stream: OpenStream) -> None:
        """Forget a stream that has ended."""
        self._streams.discard(stream)

    def cut_all(self) -> None:
        """Cut every open stream, and every one that is still to come."""
        self._closed = True
        for stream in tuple(self._streams):
            stream.cut()
