"""Whatever happens in whatever order, a stream ends once, and nothing comes after."""

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import permutations
from typing import Any, cast

import pytest
from starlette.types import Message

from bridge.deadlines import Deadlines
from bridge.dialects import CompletionDialect
from bridge.dialects.plain import PlainDialect
from bridge.open_streams import OpenStreams
from bridge.settings import Settings
from bridge.state import BridgeState
from bridge.status import Status
from bridge.stream import Head, StreamResponse
from bridge.telemetry.record import StreamAccount, StreamRecord
from bridge.upstream import Backends, Metadata, RpcError
from bridge.verdict import Ending, Outcome, Verdict
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.conftest import DONE

TEXT = b'data: {"content":"a"}\n\n'
BEAT = b": ping\n\n"
DEADLINES = Deadlines(total=1000, first_message=1000, between_messages=1000)
HEARTBEAT = 100

EVENTS = (
    "message",
    "end",
    "error",
    "left",
    "deadline",
    "shutdown",
    "heartbeat",
    "blocked",
)
ENDINGS = {
    "end": Outcome.FINISHED,
    "error": Outcome.FAILED,
    "left": Outcome.LEFT,
    "deadline": Outcome.FAILED,
    "shutdown": Outcome.SHUTDOWN,
}


def test_the_first_verdict_holds_whatever_the_order() -> None:
    verdicts = [Verdict(outcome, RpcError(status)) for outcome in Outcome for status in Status][:5]
    for order in permutations(verdicts):
        ending = Ending()
        assert ending.open
        assert [ending.decide(verdict) for verdict in order] == [True] + [False] * 4
        assert not ending.open
        assert ending.tell() is order[0]


def test_a_verdict_is_told_once_and_only_when_decided() -> None:
    ending = Ending()
    with pytest.raises(RuntimeError, match="told once"):
        ending.tell()
    ending.decide(Verdict(Outcome.LEFT))
    ending.tell()
    with pytest.raises(RuntimeError, match="told once"):
        ending.tell()


SETTINGS = Settings(heartbeat=HEARTBEAT)
Messages = tuple[StreamCompletionResponse, ...]


class Call:
    """An RPC of which the test decides each step."""

    backend = "127.0.0.1:1"
    metadata: Metadata = ()
    trailers: Metadata = ()

    def __init__(self) -> None:
        self.steps: asyncio.Queue[Messages | RpcError | None] = asyncio.Queue()
        self.cancelled = False

    async def __aiter__(self) -> AsyncIterator[Messages]:
        while (step := await self.steps.get()) is not None:
            if isinstance(step, RpcError):
                raise step
            yield step

    def relay(self, take: Callable[[Messages], bool]) -> None:
        self.take = take

    def cancel(self) -> None:
        self.cancelled = True
        self.steps.put_nowait(RpcError(Status.CANCELLED))


class Direct:
    """Sends at once, when it is ready."""

    def __init__(self, run: "Run") -> None:
        self.ready = True
        self._run = run

    def __call__(self, body: bytes) -> None:
        assert self.ready
        self._run.body += body


class Run:
    """One stream, its RPC and its client, without a network between them."""

    def __init__(self, dialect: CompletionDialect | None = None, *, age: float = 0) -> None:
        self.call = Call()
        self.records: list[StreamRecord] = []
        self.body = b""
        self.bodies_after_the_last = 0
        self.finished_body = False
        self.direct = Direct(self)
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.writable = asyncio.Event()
        self.writable.set()
        self.state = BridgeState(
            SETTINGS,
            cast("Backends", None),
            OpenStreams(),
            self.records.append,
        )
        started = time.monotonic() - age
        self.account = StreamAccount("the-request", "", keep_answer=True, started=started)
        self.stream = StreamResponse(
            self.state,
            self.open_call,
            dialect or PlainDialect(comments=True),
            self.account,
            DEADLINES,
            head=Head.AT_ONCE,
        )
        self.now = self.account.started

    def open_call(self, *, deadline: float) -> Call:
        return self.call

    async def send(self, message: Message) -> None:
        # As uvicorn does: first it waits until the client reads, then it writes.
        await self.writable.wait()
        if self.finished_body:
            self.bodies_after_the_last += 1
        self.body += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.finished_body = True

    def happen(self, event: str) -> None:  # noqa: C901 - one case for each event
        match event:
            case "message":
                self.call.steps.put_nowait((StreamCompletionResponse(text="a"),))
            case "end":
                self.call.steps.put_nowait(None)
            case "error":
                self.call.steps.put_nowait(RpcError(Status.INTERNAL, "why"))
            case "left":
                self.incoming.put_nowait({"type": "http.disconnect"})
                self.writable.set()
            case "deadline":
                self.stream.check(self.account.started + DEADLINES.total)
            case "shutdown":
                self.stream.cut()
            case "heartbeat":
                self.now += HEARTBEAT
                self.stream.check(self.now)
            case "blocked":
                self.writable.clear()

    async def serve(self, *, directly: bool = False) -> None:
        scope: dict[str, Any] = {"type": "http"}
        if directly:
            scope["extensions"] = {"bridge.direct_send": self.direct}
        await self.stream(scope, self.incoming.get, self.send)

    async def through(self, events: tuple[str, ...]) -> None:
        serving = asyncio.create_task(self.serve())
        await settle()
        for event in events:
            self.happen(event)
            if not serving.done():
                await settle()
        self.writable.set()
        self.call.steps.put_nowait(None)
        await serving
        await settle()


async def test_a_client_that_leaves_before_the_rpc_starts_has_it_cancelled() -> None:
    run = Run()
    run.happen("blocked")
    serving = asyncio.create_task(run.serve())
    await settle()
    run.happen("left")
    await serving
    assert run.call.cancelled
    assert [record.outcome for record in run.records] == [Outcome.LEFT]


async def test_what_is_decided_while_the_rpc_fails_ends_the_stream_with_no_other_try() -> None:
    run = Run()
    serving = asyncio.create_task(run.serve())
    await settle()
    soon = (("grpc-retry-pushback-ms", "60000"),)
    run.call.steps.put_nowait(RpcError(Status.UNAVAILABLE, trailers=soon))
    run.happen("shutdown")
    async with asyncio.timeout(5):
        await serving
    assert [(record.outcome, record.retries) for record in run.records] == [(Outcome.SHUTDOWN, 0)]


async def test_a_heartbeat_that_waits_for_the_client_does_not_follow_the_end() -> None:
    run = Run()
    serving = asyncio.create_task(run.serve())
    await settle()
    run.happen("blocked")
    run.happen("heartbeat")
    await settle()
    run.happen("end")
    run.writable.set()
    await serving
    await settle()
    assert run.body == DONE
    assert run.bodies_after_the_last == 0


async def test_one_heartbeat_waits_for_the_client_and_is_not_left_behind() -> None:
    run = Run()
    serving = asyncio.create_task(run.serve())
    await settle()
    tasks = asyncio.all_tasks() - {serving}
    run.happen("blocked")
    for _ in range(3):
        run.happen("heartbeat")
        await settle()
    (beat,) = asyncio.all_tasks() - tasks - {serving}
    run.incoming.put_nowait({"type": "http.disconnect"})
    await serving
    await settle()
    assert beat.cancelled()


class Defective(PlainDialect):
    """Can't write the text "b"."""

    def message(self, message: StreamCompletionResponse) -> bytes:
        if message.text == "b":
            raise ZeroDivisionError
        return super().message(message)


@pytest.mark.logs_errors
async def test_what_comes_before_a_message_that_can_t_be_written_is_sent_and_counted() -> None:
    run = Run(Defective())
    together = tuple(StreamCompletionResponse(text=text) for text in "aba")
    run.call.steps.put_nowait(together)
    await run.through(())
    (record,) = run.records
    assert (record.outcome, record.code, record.messages) == (Outcome.FAILED, "INTERNAL", 1)
    assert run.body.startswith(TEXT + b'data: {"error"')
    assert run.body.endswith(DONE)


@pytest.mark.logs_errors
async def test_what_comes_before_a_message_that_can_t_be_written_is_sent_at_once_and_once() -> None:
    run = Run(Defective())
    serving = asyncio.create_task(run.serve(directly=True))
    await settle()
    together = tuple(StreamCompletionResponse(text=text) for text in "aba")
    assert not run.call.take(together)
    run.call.steps.put_nowait(together)
    await serving
    (record,) = run.records
    assert (record.outcome, record.code, record.messages) == (Outcome.FAILED, "INTERNAL", 1)
    assert run.body.startswith(TEXT + b'data: {"error"')


class Numbered(PlainDialect):
    """Numbers the messages."""

    def __init__(self) -> None:
        super().__init__()
        self._told = 0

    def message(self, message: StreamCompletionResponse) -> bytes:
        self._told += 1
        return f"{self._told}{message.text}\n\n".encode()


async def test_a_dialect_is_told_of_each_message_once_whether_it_can_be_sent_or_not() -> None:
    run = Run(Numbered())
    serving = asyncio.create_task(run.serve(directly=True))
    await settle()
    for number, ready in enumerate((True, False, True, False, False, True)):
        run.direct.ready = ready
        message = (StreamCompletionResponse(text="abcdef"[number]),)
        assert run.call.take(message) == ready
        if not ready:
            run.call.steps.put_nowait(message)
            await settle()
    run.call.steps.put_nowait(None)
    await serving
    assert run.body.startswith(b"1a\n\n2b\n\n3c\n\n4d\n\n5e\n\n6f\n\n")
    assert run.records[0].messages == 6


@pytest.mark.parametrize("directly", [False, True])
async def test_a_message_puts_the_heartbeat_off(directly: bool) -> None:
    run = Run(age=0.8 * HEARTBEAT)
    serving = asyncio.create_task(run.serve(directly=directly))
    await settle()
    if directly:
        assert run.call.take((StreamCompletionResponse(text="a"),))
    else:
        run.happen("message")
        await settle()
    assert run.body == TEXT
    run.stream.check(time.monotonic() + 0.5 * HEARTBEAT)
    await settle()
    assert run.body == TEXT
    run.happen("shutdown")
    await serving


async def test_streams_that_fell_silent_together_do_not_beat_together() -> None:
    streams = [Run() for _ in range(100)]
    waits = {run.stream.check(run.now) - run.now for run in streams}
    assert len(waits) > 90
    assert 0.9 * HEARTBEAT <= min(waits) < 0.92 * HEARTBEAT
    assert 0.98 * HEARTBEAT < max(waits) <= HEARTBEAT


async def test_nothing_is_left_of_a_stream_that_has_ended() -> None:
    run = Run()
    await run.through(("message", "end"))
    stream = weakref.ref(run.stream)
    del run
    gc.collect()
    assert stream() is None


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


def orders() -> Iterator[tuple[str, ...]]:
    """Yield every order of up to four of the events, and every order of all that may matter."""
    for length in range(5):
        yield from permutations(EVENTS, length)
    yield from dict.fromkeys(map(until_the_end, permutations(EVENTS)))


def until_the_end(events: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``events`` in their order up to the one that ends the stream, then by name.

    A stream that can't write ends when its client leaves. Any other ends with the first that can
    end it.
    """
    blocked = False
    for at, event in enumerate(events, 1):
        blocked |= event == "blocked"
        if event == "left" or (event in ENDINGS and not blocked):
            return (*events[:at], *sorted(events[at:]))
    return events


async def test_every_order_of_events_ends_exactly_once() -> None:
    seen = set()
    for count, events in enumerate(orders(), 1):  # noqa: B007 - how many there were
        run = Run()
        await run.through(events)
        (record,) = run.records
        assert run.bodies_after_the_last == 0, events
        assert len(run.state.streams) == 0, events
        assert run.body.count(DONE) == (record.outcome is not Outcome.LEFT), events
        assert run.body.count(b'"error"') == (
            record.outcome in {Outcome.FAILED, Outcome.SHUTDOWN}
        ), events
        if record.outcome is not Outcome.LEFT:
            assert run.body.endswith(DONE), events
        frames = run.body.replace(DONE, b"").split(b"\n\n")[:-1]
        assert all(frame.startswith((b"data: {", b": ping")) for frame in frames), events
        assert record.text == "a" * run.body.count(TEXT), events
        if "blocked" not in events:
            first = next((event for event in events if event in ENDINGS), "end")
            assert record.outcome is ENDINGS[first], events
            assert run.call.cancelled or first in {"end", "error"}, events
        seen.add(record.outcome)
    assert seen == set(Outcome)
    assert count == 1 + 8 + 56 + 336 + 1680 + 2764
