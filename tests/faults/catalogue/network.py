"""The network between bridge and backend is cut, silent, slow, or refuses connections."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.faults.catalogue.plays import Strike, instead, struck, underway
from tests.faults.catalogue.setups import IMPATIENT, PATIENT, PROBING, RETRYING
from tests.faults.client import Request, scripted
from tests.faults.endings import FINISHED, failed, wrong
from tests.faults.fault import Fault, Outcome, Play, Side, outcomes
from tests.faults.proxy import BOTH, Cut, Direction
from tests.faults.world import World

UNAVAILABLE = frozenset({failed("UNAVAILABLE")})
TOO_LATE = frozenset({failed("DEADLINE_EXCEEDED")})
FINISHES = frozenset({FINISHED})

_LONG = scripted({"text": "x" * 3000, "count": 1000, "interval_ms": 20})
_LARGE = scripted({"text": "x" * 30_000, "count": 2})
_ASKED = scripted({"text": "a"})
_SHORT = scripted({"text": "a" * 100, "count": 20, "interval_ms": 20}, due=0.38)


def _cut(how: Cut) -> Strike:
    async def strike(world: World) -> None:
        world.upstream.cut(how)

    return strike


def _cut_inside(how: Cut, size: int) -> Strike:
    async def strike(world: World) -> None:
        world.upstream.cut_after(size, how)

    return strike


def _silence(*directions: Direction) -> Strike:
    async def strike(world: World) -> None:
        world.upstream.silence(frozenset(directions) or BOTH)

    return strike


async def _refuse(world: World) -> None:
    await world.upstream.refuse()
    world.upstream.cut(Cut.RST)


async def _silent_anew(world: World) -> None:
    world.upstream.silence()
    world.upstream.cut(Cut.RST)


async def _slow(world: World) -> None:
    world.upstream.delay(0.2)


async def _narrow(world: World) -> None:
    world.upstream.throttle(100_000)


def _first(strike: Strike, request: Request) -> Play:
    """Return a play that asks when the network is already so."""

    async def play(world: World, streams: int) -> Sequence[Outcome]:
        await strike(world)
        return await outcomes(await world.ask_all([request] * streams))

    return play


async def _cut_once(world: World, streams: int) -> Sequence[Outcome]:
    """Cut the connection before the first message; a retry is a tenth of the calls at most."""
    told: list[Outcome] = []
    while len(told) < streams:
        told += await outcomes(await world.ask_all([_SHORT] * min(10, streams - len(told))))
        if len(told) < streams:
            request = scripted({"text": "a", "count": 3, "first_ms": 1000})
            clients = await underway(world, request, 0, 1)
            moment = time.time()
            world.upstream.cut(Cut.RST)
            told += await _tried_again(world, await outcomes(clients, moment))
    return told


async def _tried_again(world: World, told: Sequence[Outcome]) -> Sequence[Outcome]:
    """Return ``told``, unless the records know of no retry."""
    await world.recorded({o.request_id for o in told}, 5)
    records = world.stream_records()
    retries = [record["retries"] for o in told for record in records[o.request_id]]
    return told if all(retries) else instead(told, wrong("not tried again"))


FAULTS = (
    *(
        Fault(
            f"connection to the backend cut by {how.value} after {messages} messages",
            Side.NETWORK,
            UNAVAILABLE,
            struck(_cut(how), messages),
            PATIENT,
        )
        for how in Cut
        for messages in (0, 3)
    ),
    *(
        Fault(
            f"connection to the backend cut by {how.value} inside {what}",
            Side.NETWORK,
            UNAVAILABLE,
            play,
            PATIENT,
        )
        for how in Cut
        for what, play in (
            ("the first message", _first(_cut_inside(how, 20_000), _LARGE)),
            ("a later message", struck(_cut_inside(how, 1500), 2, _LONG)),
        )
    ),
    Fault(
        "backend refuses connections", Side.NETWORK, UNAVAILABLE, _first(_refuse, _ASKED), PATIENT
    ),
    Fault("link to the backend: 0.2 s", Side.NETWORK, FINISHES, _first(_slow, _SHORT), PATIENT),
    Fault(
        "link to the backend: 100 KB/s",
        Side.NETWORK,
        FINISHES,
        _first(_narrow, scripted({"text": "a" * 1000, "count": 10})),
        PATIENT,
    ),
    Fault(
        "backend refuses connections, with retries",
        Side.NETWORK,
        UNAVAILABLE,
        _first(_refuse, _ASKED),
        RETRYING,
    ),
    Fault(
        "connection cut before the first message, with retries",
        Side.NETWORK,
        FINISHES,
        _cut_once,
        RETRYING,
    ),
    *(
        Fault(
            f"network to the backend silent {what} after {messages} messages",
            Side.NETWORK,
            TOO_LATE,
            struck(_silence(*directions), messages),
            IMPATIENT,
        )
        for what, directions in (("both ways", ()), ("one way", (Direction.TO_CLIENT,)))
        for messages in (0, 3)
    ),
    *(
        Fault(
            f"network to the backend silent after {messages} messages, found by keepalive",
            Side.NETWORK,
            UNAVAILABLE,
            struck(_silence(), messages),
            PROBING,
        )
        for messages in (0, 3)
    ),
    Fault(
        "backend takes connections, but its network is silent",
        Side.NETWORK,
        TOO_LATE,
        _first(_silent_anew, _ASKED),
        IMPATIENT,
    ),
)
