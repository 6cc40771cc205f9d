"""Backends that break the protocol, and requests of broken and hostile clients."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle

from h2.settings import SettingCodes

from bridge.settings import Settings
from bridge.status import Status
from bridge.upstream.transport import Transport
from tests.conftest import TRANSPORTS, ask
from tests.faults.catalogue.setups import HURRIED, PATIENT
from tests.faults.client import Client, Request
from tests.faults.endings import FINISHED, Ending, Kind, failed, wrong
from tests.faults.fault import Fault, Outcome, Play, Side, outcome, outcomes
from tests.faults.hostile_backend import (
    ANY_NUMBER_OF_STREAMS,
    MISBEHAVIOURS,
    HostileBackend,
    saying,
    serving_hostile,
)
from tests.faults.hostile_client import HOSTILE_REQUESTS, HostileRequest, send_raw
from tests.faults.misbehaviour import TEXTS, Misbehaviour
from tests.faults.proxy import Cut
from tests.faults.world import World

_GROUPS: dict[str, Callable[[Misbehaviour], bool]] = {
    "backend ends the connection, or breaks HTTP/2": lambda m: m.ends_connection,
    "backend sends RST_STREAM, each code": lambda m: m.name.startswith("reset-"),
    "backend answers with a page of HTTP": lambda m: m.name.startswith(
        ("page-", "http-", "no-http")
    ),
    "backend's status can't be read": lambda m: m.name.startswith(("status-", "no-", "message-")),
    "backend's trailers can't be read": lambda m: m.name.startswith(
        ("trailer", "details-", "pushback-")
    ),
    "backend compresses wrongly": lambda m: m.name.startswith(
        ("gzip", "deflate", "encoding-", "compressed-")
    ),
    "backend floods the connection": lambda m: m.name.startswith("flood-"),
    "backend's messages can't be read": lambda _: True,
}


_GOOD = Request(json.dumps(ask(saying("good"))).encode())

_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: bridge\r\n"
_NEVER_WHOLE = (
    HostileRequest("a head that never ends", _HEAD, 408),
    HostileRequest(
        "a body that never ends",
        _HEAD + b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{",
        408,
    ),
)


def _group_of(misbehaviour: Misbehaviour) -> str:
    return next(name for name, holds in _GROUPS.items() if holds(misbehaviour))


Case = tuple[Misbehaviour, int]


def _endings(misbehaviour: Misbehaviour, transport: Transport) -> frozenset[Ending]:
    return frozenset(
        FINISHED if status is Status.OK else failed(status.name)
        for status in misbehaviour.expected(transport)
    )


def _request(case: Case) -> Request:
    misbehaviour, after = case
    body = json.dumps(ask(saying(misbehaviour.name, after, held=bool(after)))).encode()
    headers = {}
    if misbehaviour.deadline is not None:
        headers["x-request-timeout"] = str(misbehaviour.deadline)
    return Request(body, headers)


async def _misbehave(world: World, backend: HostileBackend, case: Case) -> Outcome:
    misbehaviour, after = case
    client = await world.ask(_request(case))
    await client.messages(after)
    struck = time.time()
    backend.go_on(client.request_id)
    told = await outcome(client, struck)
    # The bridge reads the same variables.
    return _judged(told, client, case, _endings(misbehaviour, Settings().transport))


def _judged(told: Outcome, client: Client, case: Case, expected: frozenset[Ending]) -> Outcome:
    misbehaviour, after = case
    text = client.frames.text
    good = "".join(TEXTS[:after])
    lies = not text.startswith(good) or text not in good + "".join(misbehaviour.texts)
    if told.ending not in expected or lies:
        what = wrong(f"{misbehaviour.name} after {after}: {told.ending}, {text!r}")
        return Outcome(told.request_id, what, told.seconds)
    return told


def _misbehaves(cases: Iterator[Case], *, alone: bool) -> Play:
    """Return a play of the next cases, at the same time or each alone on its connection."""

    async def play(world: World, streams: int) -> Sequence[Outcome]:
        chosen = [next(cases) for _ in range(streams)]
        async with _hostile_backend(world) as backend:
            if not alone:
                await _connected(world)
                playing = (_misbehave(world, backend, case) for case in chosen)
                return await asyncio.gather(*playing)
            return [await _misbehave_alone(world, backend, case) for case in chosen]

    return play


@asynccontextmanager
async def _hostile_backend(
    world: World, settings: Mapping[SettingCodes | int, int] = ANY_NUMBER_OF_STREAMS
) -> AsyncIterator[HostileBackend]:
    """Put a hostile backend in the place of the world's own."""
    async with serving_hostile(settings) as backend:
        target, world.upstream.target = world.upstream.target, backend.address
        world.upstream.cut(Cut.RST)
        try:
            yield backend
        finally:
            world.upstream.target = target
            world.upstream.cut(Cut.RST)


async def _allows_few_streams(world: World, streams: int) -> Sequence[Outcome]:
    async with _hostile_backend(world, {SettingCodes.MAX_CONCURRENT_STREAMS: 3}):
        await _connected(world)
        return await outcomes(await world.ask_all([_GOOD] * streams))


async def _misbehave_alone(world: World, backend: HostileBackend, case: Case) -> Outcome:
    world.upstream.cut(Cut.RST)
    await _connected(world)
    return await _misbehave(world, backend, case)


async def _connected(world: World) -> None:
    async with asyncio.timeout(20):
        while await (await world.ask(_GOOD)).ending(10) != FINISHED:
            await asyncio.sleep(0.05)


def _hostile_backends() -> Iterator[Fault]:
    for group in _GROUPS:
        members = [m for m in MISBEHAVIOURS.values() if _group_of(m) == group]
        # A raw frame that is not counted makes the connection's window too small for a large one.
        # And many floods are more than a connection may have, where one is not.
        alone = any(
            m.ends_connection or m.name == "too-large" or m.name.startswith("flood-")
            for m in members
        )
        expected = frozenset[Ending]().union(*(_endings(m, t) for m in members for t in TRANSPORTS))
        cases = cycle([(m, after) for m in members for after in m.after])
        yield Fault(group, Side.BACKEND, expected, _misbehaves(cases, alone=alone), PATIENT)


def _status(number: int | None) -> Ending:
    return Ending(Kind.STATUS, "none, closed" if number is None else str(number))


def _sends(requests: Iterator[HostileRequest]) -> Play:
    async def send(world: World, request: HostileRequest) -> Outcome:
        number, _ = await send_raw(f"http://{world.address}", request.raw)
        ending = _status(number)
        if number != request.expected:
            ending = wrong(f"{request.name}: {ending}")
        return Outcome(request.name, ending)

    async def play(world: World, streams: int) -> Sequence[Outcome]:
        return await asyncio.gather(*(send(world, next(requests)) for _ in range(streams)))

    return play


FAULTS = (
    *_hostile_backends(),
    Fault(
        "requests of hostile clients",
        Side.CLIENT,
        frozenset(_status(request.expected) for request in HOSTILE_REQUESTS),
        _sends(cycle(HOSTILE_REQUESTS)),
        PATIENT,
        recorded=False,
    ),
    Fault(
        "requests that are never whole (slow loris)",
        Side.CLIENT,
        frozenset({_status(408)}),
        _sends(cycle(_NEVER_WHOLE)),
        HURRIED,
        recorded=False,
    ),
    Fault(
        "backend allows 3 streams on a connection",
        Side.BACKEND,
        frozenset({FINISHED}),
        _allows_few_streams,
        PATIENT,
    ),
)
