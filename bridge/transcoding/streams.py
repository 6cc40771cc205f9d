"""How the messages of an RPC are written as a stream: a dialect for each media type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from bridge import sse
from bridge.call_response import Returned
from bridge.dialects import Dialect
from bridge.failure import Failure
from bridge.telemetry.record import CallAccount
from bridge.transcoding.errors import StatusErrors
from bridge.transcoding.formats import ArrayFailure

Write = Callable[[Message], bytes]
Account = CallAccount[Message]
MessageDialect = Dialect[Message, Account]

# An ``EventSource`` that was not closed at ``[DONE]`` comes back with it.
ENDED = "ended"


class EventStream:
    """Server-Sent Events: one for each message, one for a failure, then ``[DONE]``.

    Args:
        write: Writes a message as JSON.
        errors: Writes a failure.
        returned: Chooses from the trailing metadata what the client is told.
    """

    media_type = sse.MEDIA_TYPE

    def __init__(self, write: Write, errors: StatusErrors, returned: Returned) -> None:
        self.errors = errors
        self._write = write
        self._returned = returned

    def message(self, message: Message) -> bytes:
        """Return the event of a message."""
        return b"data: " + self._write(message) + b"\n\n"

    def heartbeat(self) -> bytes:
        """Return a comment."""
        return sse.PING

    def error(self, failure: Failure) -> bytes:
        """Return the event ``failure``, and ``[DONE]``."""
        event = b"event: failure\ndata: " + self.errors.in_stream(failure) + b"\n\n"
        return event + _DONE

    def closing(self, account: Account) -> bytes:
        """Return the event ``trailers``, if the client is told any, and ``[DONE]``."""
        trailers = self._returned(account.trailers)
        told = b"event: trailers\n" + sse.json_frame(dict(trailers)) if trailers else b""
        return told + _DONE


# Of what has no data, an ``EventSource`` only keeps the id (HTML standard, section 9.2.6).
_DONE = f"id: {ENDED}\n\n".encode() + sse.DONE


class JsonLines:
    """A line of JSON for each message, and one for a failure: ``{"error": ...}``.

    Args:
        write: Writes a message as JSON.
        errors: Writes a failure.
    """

    media_type = "application/x-ndjson"

    def __init__(self, write: Write, errors: StatusErrors) -> None:
        self.errors = errors
        self._write = write

    def message(self, message: Message) -> bytes:
        """Return the line of a message."""
        return self._write(message) + b"\n"

    def heartbeat(self) -> bytes:
        """Return nothing: an empty line is no JSON."""
        return b""

    def error(self, failure: Failure) -> bytes:
        """Return the last line."""
        return self.errors.in_stream(failure) + b"\n"

    def closing(self, account: Account) -> bytes:
        """Return nothing: the body ends, whole."""
        return b""


class JsonObject(JsonLines):
    """The one message of a unary RPC."""

    media_type = "application/json"

    def message(self, message: Message) -> bytes:
        """Return the message."""
        return self._write(message)


class JsonArray:
    """An array of all messages, which a parser that reads as it comes can follow.

    Args:
        write: Writes a message as JSON.
        errors: Writes a failure.
        failure: Whether a failure is a last element, or the array stays open and the connection
            breaks.
    """

    media_type = "application/json"

    def __init__(self, write: Write, errors: StatusErrors, failure: ArrayFailure) -> None:
        self.errors = errors
        self._write = write
        self._failure = failure
        self._before = b"["

    def message(self, message: Message) -> bytes:
        """Return the element of a message, with what separates it from the one before."""
        return self._element(self._write(message))

    def heartbeat(self) -> bytes:
        """Return white space."""
        return b"\n"

    def error(self, failure: Failure) -> bytes | None:
        """Return the last element and the bracket, or None."""
        if self._failure is ArrayFailure.CUT:
            return None
        return self._element(self.errors.in_stream(failure)) + b"]"

    def closing(self, account: Account) -> bytes:
        """Return the bracket."""
        return b"[]" if self._before == b"[" else b"]"

    def _element(self, element: bytes) -> bytes:
        before, self._before = self._before, b",\n"
        return before + element


class RawBody:
    """The contents of ``google.api.HttpBody``, one after the other, as they are.

    The first message says what media type they have. A failure can't be told in them: the
    connection breaks.

    Args:
        body: Takes the ``HttpBody`` out of a message.
        errors: Writes a failure.
    """

    def __init__(self, body: Callable[[Message], Any], errors: StatusErrors) -> None:
        self.errors = errors
        self.media_type = "application/octet-stream"
        self._body = body
        self._begun = False

    def message(self, message: Message) -> bytes:
        """Return the content."""
        body = self._body(message)
        if not self._begun:
            self._begun = True
            self.media_type = body.content_type or self.media_type
        content: bytes = body.data
        return content

    def heartbeat(self) -> bytes:
        """Return nothing: all that is sent belongs to the content."""
        return b""

    def error(self, failure: Failure) -> None:
        """Return None."""

    def closing(self, account: Account) -> bytes:
        """Return nothing."""
        return b""
