"""A request, as it is sent."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from bridge.transcoding.formats import StreamFormat


@dataclass(frozen=True, slots=True)
class Asked:
    """A request.

    Attributes:
        method: The HTTP method.
        target: The path and the query, as they are sent.
        body: The content; None for none.
        content_type: Its type; empty for none.
        form: What a stream is to be answered as.
    """

    method: str
    target: str
    body: str | None = None
    content_type: str = "application/json"
    form: StreamFormat = StreamFormat.ARRAY

    def __str__(self) -> str:
        """Return what to type in a shell."""
        sent = [f"$URL{self.target}"]
        if self.body is not None:
            sent += ["-H", f"content-type: {self.content_type}", "--data-binary", self.body]
        return shlex.join(["curl", "--path-as-is", "-X", self.method, *sent])

    @property
    def path(self) -> str:
        """The path as it is sent."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query as it is sent."""
        return self.target.partition("?")[2]
