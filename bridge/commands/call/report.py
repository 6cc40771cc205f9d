"""How an answer is shown: in lines for programs, or on a screen for people."""

from __future__ import annotations

import sys
from typing import Any, Protocol

import orjson
from google.protobuf.message import Message

from bridge.commands.call.colours import Colours
from bridge.commands.call.metadata import as_text
from bridge.commands.call.output import Output
from bridge.commands.call.progress import Progress
from bridge.commands.visible import visible
from bridge.failure import Failure
from bridge.transcoding.errors import StatusErrors
from bridge.transcoding.json.writer import JsonWriter
from bridge.transcoding.streams import JsonLines
from bridge.upstream import Metadata
from bridge.upstream.metadata import custom


class Report(Protocol):
    """Shows an answer while it comes."""

    async def message(self, message: Message) -> None:
        """Show a message.

        Raises:
            JsonWriteError: JSON can't have it.
            BrokenPipeError: nobody reads any more.
        """
        ...

    async def failure(self, failure: Failure) -> None:
        """Show how the RPC failed.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        ...


class Lines:
    """The lines of NDJSON, as the bridge serves it: the last tells a failure.

    Args:
        writer: Writes messages, and the details of a failure.
        output: Where they are written.
    """

    def __init__(self, writer: JsonWriter, output: Output) -> None:
        self._lines = JsonLines(writer.write, StatusErrors(writer))
        self._output = output

    async def message(self, message: Message) -> None:
        """Write the line of a message."""
        await self._output.write(self._lines.message(message))

    async def failure(self, failure: Failure) -> None:
        """Write the last line."""
        await self._output.write(self._lines.error(failure))


class Screen:
    """Indented JSON in colours; a failure is shown on stderr.

    Args:
        writer: Writes messages, and the details of a failure.
        output: A terminal.
    """

    def __init__(self, writer: JsonWriter, output: Output) -> None:
        self._writer = writer
        self._errors = StatusErrors(writer)
        self._output = output
        self._colours = Colours.of(sys.stdout)

    async def message(self, message: Message) -> None:
        """Write a message."""
        text = _indented(self._writer.to_json(message), self._colours)
        await self._output.write(text.encode())

    async def failure(self, failure: Failure) -> None:
        """Write the status with its details."""
        body = self._errors.body(failure)
        sys.stderr.write(_indented(body, Colours.of(sys.stderr)))


def tell_end(end: str, progress: Progress, trailers: Metadata = (), *, good: bool = False) -> None:
    """Say on stderr how it ended, after how much, and with which trailing metadata."""
    told = [f"{Colours.of(sys.stderr).status(end, good=good)}: {progress}"]
    told += [f"  {visible(entry)}" for entry in as_text(custom(trailers))]
    sys.stderr.write("".join(f"{line}\n" for line in told))


def _indented(value: Any, colours: Colours) -> str:
    text = visible(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
    return f"{colours.json(text)}\n"
