"""Runs the RPC, and says how it ended."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

from google.protobuf.message import EncodeError, Message

from bridge.app import open_backends
from bridge.commands.call.colours import moves_cursor
from bridge.commands.call.interruption import Interruption
from bridge.commands.call.metadata import to_metadata
from bridge.commands.call.method import find, schema_of
from bridge.commands.call.output import Output
from bridge.commands.call.progress import Progress
from bridge.commands.call.report import Lines, Report, Screen, tell_end
from bridge.commands.call.request import read_text, to_messages
from bridge.commands.call.settings import Call
from bridge.commands.call.spinner import Spinner
from bridge.commands.refusal import RefusalError
from bridge.commands.visible import visible
from bridge.failure import describe
from bridge.status import Status
from bridge.transcoding.exposed import method_of
from bridge.transcoding.json.reader import JsonReader
from bridge.transcoding.json.writer import JsonWriteError, JsonWriter
from bridge.transcoding.request_error import RequestError
from bridge.transcoding.schema import RpcMethod, Schema
from bridge.upstream import Backends, Metadata, RpcError
from bridge.upstream import Call as RunningCall
from bridge.upstream.call import only


def call(settings: Call) -> int:
    """Ask the method that ``settings`` name, and show what it answers; or list what there is.

    Returns:
        The exit status: 0 when the RPC has finished, 1 when it has failed, and 128 and the number
        of the signal that has interrupted it, SIGPIPE if nobody reads the output any more.

    Raises:
        RefusalError: there is no such method, its schema can't be read, or what is to be sent is
            no request of it.
    """
    metadata = to_metadata(settings.metadata)
    # A blocked event loop would get no signal.
    text = read_text(settings.request)
    return asyncio.run(_Asking(settings, metadata, text).run())


class _Asking:
    def __init__(self, settings: Call, metadata: Metadata, text: bytes) -> None:
        self._settings = settings
        self._metadata = metadata
        self._text = text
        self._output = Output(sys.stdout.fileno())
        self._progress = Progress()
        # Beside a pipe, the terminal is another program's.
        shown = sys.stdout.isatty() and moves_cursor(sys.stderr)
        self._spinner = Spinner(sys.stderr if shown else None, self._progress)

    async def run(self) -> int:
        with Interruption(self._output) as interruption:
            try:
                return await self._ask()
            except BrokenPipeError:
                interruption.signal = signal.SIGPIPE
            except asyncio.CancelledError:
                if interruption.signal is None:
                    raise
                if interruption.signal is not signal.SIGPIPE:
                    tell_end("Interrupted", self._progress)
            return interruption.status

    async def _ask(self) -> int:
        settings, backends = self._settings, open_backends(self._settings)
        async with AsyncExitStack() as until_the_end:
            async with self._spinner.turning():
                if settings.asks_for_schema:
                    await until_the_end.enter_async_context(backends)
                schema = await schema_of(settings, backends, settings.name)
            found = find(schema, settings.name)
            if isinstance(found, str):
                await self._output.write(visible(found).encode())
                return 0
            messages = self._messages(schema, found)
            if not settings.asks_for_schema:
                async with self._spinner.turning():
                    await until_the_end.enter_async_context(backends)
            return await self._call(backends, schema, found, messages)

    def _messages(self, schema: Schema, rpc: RpcMethod) -> Sequence[Message]:
        reader = JsonReader(schema.pool, ignore_unknown=self._settings.json_ignore_unknown)
        try:
            return to_messages(rpc, reader, self._text)
        except RequestError as error:
            raise _not_sent(error) from None

    async def _call(
        self, backends: Backends, schema: Schema, rpc: RpcMethod, messages: Sequence[Message]
    ) -> int:
        writer = JsonWriter(schema.pool, self._settings.json_options)
        screen = sys.stdout.isatty()
        report: Report = (Screen if screen else Lines)(writer, self._output)
        self._progress.restart()
        try:
            started = backends.stream(
                method_of(rpc), messages, self._metadata, deadline=self._settings.deadline
            )
            try:
                await self._show(started, report, unary=not rpc.server_streaming)
            finally:
                started.cancel()
        except EncodeError as error:
            raise _not_sent(error) from None
        except RpcError as error:
            await report.failure(describe(error, "", show_details=True))
            tell_end(error.status.name, self._progress, error.trailers)
            return 1
        tell_end(Status.OK.name, self._progress, started.trailers, good=True)
        return 0

    async def _show(self, started: RunningCall[Message], report: Report, *, unary: bool) -> None:
        answers: list[Message] = []
        async for messages in self._batches(started):
            self._progress.messages += len(messages)
            if unary:
                answers += messages
                continue
            for message in messages:
                await _show_one(message, report)
        if unary:
            await _show_one(only(answers), report)

    async def _batches(self, started: RunningCall[Message]) -> AsyncIterator[Sequence[Message]]:
        batches = aiter(started)
        while True:
            async with self._spinner.turning():
                messages = await anext(batches, None)
            if messages is None:
                return
            yield messages


async def _show_one(message: Message, report: Report) -> None:
    try:
        await report.message(message)
    except JsonWriteError as error:
        raise RpcError(Status.INTERNAL, str(error)) from None


def _not_sent(error: Exception) -> RefusalError:
    return RefusalError(f"The request can't be sent.\n{error}", 2)
