"""A client that leaves, reads slowly or not at all, or asks for what is refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.conftest import ask
from tests.faults.catalogue.plays import hanging, underway
from tests.faults.catalogue.setups import IMPATIENT, LIMITED, PATIENT
from tests.faults.client import Client, Request, scripted
from tests.faults.endings import CUT, FINISHED, LEFT, Ending, status
from tests.faults.fault import (
    BOUND,
    Fault,
    Outcome,
    Play,
    Side,
    asking,
    left,
    outcome,
    outcomes,
)
from tests.faults.proxy import Cut, Direction
from tests.faults.world import Setup, World

_MUCH = scripted({"text": "x" * 10_000, "count": 150})


def _leaves(messages: int, *, abruptly: bool, stream: bool = True) -> Play:
    async def play(world: World, streams: int) -> Sequence[Outcome]:
        shown = messages if stream else 0
        clients = await underway(world, hanging(messages, stream=stream), shown, streams)
        moment = time.time()
        for client in clients:
            await client.leave(abruptly=abruptly)
        return await left(world, clients, moment)

    return play


def _leaves_while_data_flows(*, abruptly: bool) -> Play:
    request = scripted({"text": "x" * 1000, "count": 100_000, "interval_ms": 2})

    async def play(world: World, streams: int) -> Sequence[Outcome]:
        clients = await underway(world, request, 3, streams)
        moment = time.time()
        for client in clients:
            await client.leave(abruptly=abruptly)
        return await left(world, clients, moment)

    return play


def _cut(how: Cut) -> Play:
    async def play(world: World, streams: int) -> Sequence[Outcome]:
        clients = await _through(world, hanging(3), streams)
        for client in clients:
            await client.messages(3)
        moment = time.time()
        world.downstream.cut(how)
        return await outcomes(clients, moment)

    return play


async def _through(world: World, request: Request, streams: int) -> list[Client]:
    return await asyncio.gather(*(world.ask_through(request) for _ in range(streams)))


async def _reads_nothing(world: World, streams: int) -> Sequence[Outcome]:
    clients = [await world.ask(_MUCH, small_buffer=True) for _ in range(streams)]
    moment = time.time()
    for client in clients:
        client.read_nothing()
    return await left(world, clients, moment)


async def _network_silent(world: World, streams: int) -> Sequence[Outcome]:
    request = scripted({"text": "x" * 10_000, "count": 10_000, "interval_ms": 5})
    clients = await _through(world, request, streams)
    for client in clients:
        await client.messages(1)
    moment = time.time()
    world.downstream.silence(frozenset({Direction.TO_CLIENT}))
    return await left(world, clients, moment)


async def _reads_slowly(world: World, streams: int) -> Sequence[Outcome]:
    request = scripted({"text": "x" * 1000, "count": 100})
    clients = [await world.ask(request, small_buffer=True) for _ in range(streams)]

    async def read(client: Client) -> Outcome:
        ending = await client.ending(BOUND, rate=100_000)
        return Outcome(client.request_id, ending, client.ended - client.sent)

    return await asyncio.gather(*map(read, clients))


async def _slow_link(world: World, streams: int) -> Sequence[Outcome]:
    world.downstream.delay(0.2)
    request = scripted({"text": "a", "count": 20, "interval_ms": 20}, due=0.38)
    return await outcomes(await _through(world, request, streams))


async def _narrow_link(world: World, streams: int) -> Sequence[Outcome]:
    world.downstream.throttle(100_000)
    request = scripted({"text": "x" * 1000, "count": 100, "interval_ms": 2}, due=0.2)
    return await outcomes(await _through(world, request, streams))


async def _pauses(world: World, streams: int) -> Sequence[Outcome]:
    """Read nothing for a while, but for less than the write timeout."""
    request = scripted({"text": "x" * 5000, "count": 200})
    clients = [await world.ask(request, small_buffer=True) for _ in range(streams)]
    await asyncio.sleep(0.5)
    return await asyncio.gather(*(outcome(client) for client in clients))


@asynccontextmanager
async def _occupied(world: World, streams: int, *, one_client: bool) -> AsyncIterator[None]:
    """Have so many streams open, of one client or each of another."""
    headers = [{} if one_client else _from(index) for index in range(streams)]
    clients = await world.ask_all([hanging(1, headers=of_one) for of_one in headers])
    await world.reached(streams)
    try:
        yield
    finally:
        for client in clients:
            await client.leave(abruptly=True)
        await world.reached(0)


def _from(index: int) -> dict[str, str]:
    return {"x-forwarded-for": f"192.0.2.{index + 1}"}


async def _too_many_of_a_client(world: World, streams: int) -> Sequence[Outcome]:
    async with _occupied(world, 5, one_client=True):
        return await outcomes(await world.ask_all([hanging(1)] * streams))


async def _too_many(world: World, streams: int) -> Sequence[Outcome]:
    async with _occupied(world, 8, one_client=False):
        request = hanging(1, headers=_from(100))
        return await outcomes(await world.ask_all([request] * streams))


def _client(name: str, expected: Ending, play: Play, setup: Setup = PATIENT) -> Fault:
    return Fault(f"client {name}", Side.CLIENT, frozenset({expected}), play, setup)


def _refused(what: str, number: int, request: Request, setup: Setup = PATIENT) -> Fault:
    at_a_time = 4 if setup is LIMITED else 25
    expected = frozenset({status(number, "INVALID_ARGUMENT")})
    return Fault(f"request with {what}", Side.CLIENT, expected, asking(request), setup, at_a_time)


_HELLO = json.dumps(ask("hello")).encode()

FAULTS = (
    *(
        _client(
            f"leaves by {way} after {messages} messages{', stream: false' * (not stream)}",
            LEFT,
            _leaves(messages, abruptly=abruptly, stream=stream),
        )
        for way, abruptly in (("FIN", False), ("RST", True))
        for messages, stream in ((0, True), (3, True), (3, False))
    ),
    *(
        _client(f"leaves by {way} while data flows", LEFT, _leaves_while_data_flows(abruptly=rst))
        for way, rst in (("FIN", False), ("RST", True))
    ),
    *(_client(f"cut off by {how.value}", CUT, _cut(how)) for how in Cut),
    _client("reads 100 KB/s", FINISHED, _reads_slowly),
    _client("behind a link of 0.2 s", FINISHED, _slow_link),
    _client("behind a link of 100 KB/s", FINISHED, _narrow_link),
    _refused("a body that is no JSON", 400, Request(b"{no")),
    _refused("no body", 422, Request(b"")),
    _refused("a body of another type", 415, Request(_HELLO, {"content-type": "text/plain"})),
    _refused("no messages", 422, Request(b'{"messages": []}')),
    _refused(
        "half a surrogate pair",
        422,
        Request(rb'{"messages": [{"role": "user", "content": "\ud800"}]}'),
    ),
    _refused("a timeout that is none", 400, Request(_HELLO, {"x-request-timeout": "soon"})),
    _client("reads nothing while data flows", LEFT, _reads_nothing, IMPATIENT),
    _client("behind a network that is silent while data flows", LEFT, _network_silent, IMPATIENT),
    _client("reads nothing for a while", FINISHED, _pauses, IMPATIENT),
    _refused("a body larger than the limit", 413, Request(b"x" * 100_000), LIMITED),
    _client(
        "has too many streams", status(429, "RESOURCE_EXHAUSTED"), _too_many_of_a_client, LIMITED
    ),
    _client("asks a bridge that is full", status(503, "UNAVAILABLE"), _too_many, LIMITED),
)
