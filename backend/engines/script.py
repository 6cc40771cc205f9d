"""Does what a request tells it to: for tests, demonstrations and load."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace

from backend.engines.directives import Abrupt, Script, parse
from backend.engines.engine import Call, Delta
from backend.status import RpcError, bad_request
from protos.completion.v1.completion_pb2 import (
    Model,
    Role,
    StreamCompletionRequest,
    TokenLogprob,
)

MODEL = "script"


class ScriptEngine:
    """Follows the directives in the last message; see `backend.engines.directives`.

    Args:
        allow_crash: Whether ``crash_after`` may end this process.
    """

    def __init__(self, *, allow_crash: bool) -> None:
        self._allow_crash = allow_crash

    def models(self) -> Sequence[Model]:
        """List the one model."""
        description = "Does what the last message tells it to; for tests and demonstrations."
        return [Model(id=MODEL, owned_by="script", description=description)]

    def serves(self, model: str) -> bool:
        """Whether ``model`` is the script model."""
        return model == MODEL

    async def complete(self, call: Call) -> AsyncGenerator[Delta]:
        """Send what the script says, when it says so, for each choice in turn.

        Raises:
            RpcError: INVALID_ARGUMENT for a wrong script, or what ``fail`` says.
        """
        script = parse(_last_said(call.request))
        if script.ending is Abrupt.CRASH and not self._allow_crash:
            raise bad_request([("crash_after", "needs BACKEND_ALLOW_CRASH=1 at the backend")])
        call.trailing_metadata.update(script.metadata)
        pace = _Pace(script.first, script.interval)
        choices = range(call.request.choices or 1)
        sent = 0
        for delta in _deltas(script, call.request):
            await pace.wait(sent)
            for choice in choices:
                yield replace(delta, choice=choice) if choice else delta
            sent += 1
        for delta in _last_deltas(script, choices):
            yield delta
        if script.ending:
            await pace.wait(sent)
            await _end(script.ending)


def _deltas(script: Script, request: StreamCompletionRequest) -> Iterator[Delta]:
    if script.logprobs and request.HasField("top_logprobs"):
        for chunk, logprob in zip(script.chunks, script.logprobs, strict=False):
            yield Delta(chunk, logprobs=(_token(chunk, logprob, request.top_logprobs),))
    else:
        yield from map(Delta, script.chunks)
    for tool_call in script.tool_calls:
        yield Delta(tool_calls=(tool_call,))


def _token(text: str, logprob: float, top: int) -> TokenLogprob:
    token = TokenLogprob(token=text, logprob=logprob, bytes=text.encode())
    return TokenLogprob(token=text, logprob=logprob, bytes=token.bytes, top=[token] * bool(top))


def _last_deltas(script: Script, choices: range) -> Iterator[Delta]:
    if script.finish_reason:
        for choice in choices[:-1]:
            yield Delta("", script.finish_reason, choice=choice)
    if script.finish_reason or script.usage:
        yield Delta("", script.finish_reason, script.usage, choice=choices[-1])


class _Pace:
    def __init__(self, first: float, interval: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._start = self._clock() + first
        self._interval = interval

    async def wait(self, sent: int) -> None:
        """Sleep until the message with the index ``sent`` is due, counted from the start."""
        if (delay := self._start + sent * self._interval - self._clock()) > 0:
            await asyncio.sleep(delay)


async def _end(ending: RpcError | Abrupt) -> None:
    match ending:
        case RpcError():
            raise ending
        case Abrupt.HANG:
            await asyncio.Event().wait()
        case Abrupt.CRASH:
            os._exit(1)


def _last_said(request: StreamCompletionRequest) -> str:
    for message in reversed(request.messages):
        if message.role in (Role.ROLE_USER, Role.ROLE_TOOL):
            return message.content
    raise bad_request([("messages", "the script model needs a user message")])
