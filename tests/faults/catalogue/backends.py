"""A backend that fails, dies, drains, hangs, or says too much."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import grpc

from bridge.status import Status
from tests.faults.catalogue.plays import hanging, instead, struck
from tests.faults.catalogue.setups import DIRECT, IMPATIENT, LIMITED, PATIENT
from tests.faults.client import Request, scripted
from tests.faults.endings import FINISHED, Ending, failed, status, wrong
from tests.faults.fault import Fault, Outcome, Play, Side, asking, outcomes
from tests.faults.world import Setup, World

CODES = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
TOO_LATE = failed("DEADLINE_EXCEEDED")
LIMITED_AT_A_TIME = 4


def _backend(
    name: str, expected: Ending, request: Request, setup: Setup, at_a_time: int = 25
) -> Fault:
    return Fault(name, Side.BACKEND, frozenset({expected}), asking(request), setup, at_a_time)


def _fails_with(code: str, after: int) -> Fault:
    fail = {"code": code, "after": after}
    request = scripted({"text": "a", "count": 3, "interval_ms": 10, "fail": fail}, due=after * 0.01)
    return Fault(
        f"backend fails with {code} after {after} messages",
        Side.BACKEND,
        frozenset({failed(code)}),
        asking(request),
        PATIENT,
        group=f"backend fails with each of the 16 codes after {after} messages",
    )


def _fails_early(code: str, what: str, request: Request) -> Fault:
    expected = status(Status[code].http, code)
    return _backend(f"backend fails with {code} at once, {what}", expected, request, PATIENT)


def _failing(code: str, headers: dict[str, str] | None = None, *, stream: bool = True) -> Request:
    return scripted({"fail": {"code": code}}, headers, stream=stream)


async def _kill(world: World) -> None:
    await world.backend.kill()


async def _terminate(world: World) -> None:
    world.backend.server.process.send_signal(signal.SIGTERM)


async def _freeze(world: World) -> None:
    world.backend.server.process.send_signal(signal.SIGSTOP)


async def _thaw(world: World) -> None:
    world.backend.server.process.send_signal(signal.SIGCONT)


async def _frozen(world: World, streams: int) -> Sequence[Outcome]:
    try:
        return await struck(_freeze, 2)(world, streams)
    finally:
        await _thaw(world)


def _drained(request: Request, messages: int) -> Play:
    play = struck(_terminate, messages, request)

    async def drained(world: World, streams: int) -> Sequence[Outcome]:
        told = await play(world, streams)
        await world.backend.server.wait()
        return told

    return drained


async def _silent_for_a_while(world: World, streams: int) -> Sequence[Outcome]:
    """Be silent for longer than a heartbeat, which every stream must show."""
    requests = [
        scripted({"chunks": ["a", "b"], "interval_ms": 600}, headers, due=0.6)
        for headers in ({}, {"accept": "text/event-stream"})
    ]
    clients = await world.ask_all([requests[index % 2] for index in range(streams)])
    told = await outcomes(clients)
    beaten = all(client.frames.heartbeats for client in clients)
    return told if beaten else instead(told, wrong("no heartbeat"))


async def _fails_at_a_heartbeat(world: World, streams: int) -> Sequence[Outcome]:
    """Fail at about the moment in which a heartbeat is due."""
    requests = [
        scripted(
            {"chunks": ["a"], "first_ms": ms, "fail": {"code": "ABORTED", "after": 0}},
            due=ms / 1000,
        )
        for ms in range(200, 200 + 20 * streams, 20)
    ]
    return await outcomes(await world.ask_all(requests))


FAULTS = (
    _backend(
        "none: the RPC finishes",
        FINISHED,
        scripted({"text": "a", "count": 20, "interval_ms": 10}, due=0.19),
        PATIENT,
    ),
    *(_fails_with(code, after) for code in CODES for after in (0, 1, 3)),
    *(
        _fails_early(code, "Prefer: status", _failing(code, {"prefer": "status"}))
        for code in ("UNAVAILABLE", "INTERNAL", "CANCELLED")
    ),
    *(
        _fails_early(code, "stream: false", _failing(code, stream=False))
        for code in ("UNAVAILABLE", "DATA_LOSS")
    ),
    *(
        Fault(
            f"backend killed (SIGKILL) after {messages} messages",
            Side.BACKEND,
            frozenset({failed("UNAVAILABLE")}),
            struck(_kill, messages),
            DIRECT,
        )
        for messages in (0, 3)
    ),
    Fault(
        "backend drains (SIGTERM), streams end in its grace",
        Side.BACKEND,
        frozenset({FINISHED}),
        _drained(scripted({"text": "a", "count": 20, "interval_ms": 50}), 2),
        DIRECT,
    ),
    Fault(
        "backend drains (SIGTERM), streams outlast its grace",
        Side.BACKEND,
        frozenset({failed("UNAVAILABLE")}),
        _drained(hanging(2), 2),
        DIRECT,
    ),
    Fault(
        "backend frozen (SIGSTOP) after 2 messages",
        Side.BACKEND,
        frozenset({TOO_LATE}),
        _frozen,
        IMPATIENT,
    ),
    _backend(
        "deadline in all, by the client's header",
        TOO_LATE,
        scripted(
            {"text": "a", "count": 100, "interval_ms": 50}, {"x-request-timeout": "0.5"}, due=0.5
        ),
        IMPATIENT,
    ),
    _backend("deadline of 1 s to the first message", TOO_LATE, hanging(0, due=1), IMPATIENT),
    _backend("deadline of 1 s between messages", TOO_LATE, hanging(2, due=1), IMPATIENT),
    Fault(
        "backend silent for a while: heartbeats",
        Side.BACKEND,
        frozenset({FINISHED}),
        _silent_for_a_while,
        IMPATIENT,
    ),
    Fault(
        "backend fails when a heartbeat is due",
        Side.BACKEND,
        frozenset({failed("ABORTED")}),
        _fails_at_a_heartbeat,
        IMPATIENT,
    ),
    *(
        _backend(
            f"backend's message larger than the limit after {messages} messages",
            failed("RESOURCE_EXHAUSTED"),
            scripted({"chunks": [*"ab"[:messages], "x" * 20_000]}),
            LIMITED,
            LIMITED_AT_A_TIME,
        )
        for messages in (0, 2)
    ),
)
