"""The bridge itself stops, or dies."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

from tests.faults.catalogue.plays import hanging, instead, underway
from tests.faults.catalogue.setups import DEFECTIVE, with_grace
from tests.faults.client import Request, scripted
from tests.faults.endings import CUT, FINISHED, Ending, failed, wrong
from tests.faults.fault import Fault, Outcome, Play, Side, outcomes
from tests.faults.observed import DEFECT
from tests.faults.world import HEALTHY, World


def _stops(request: Request, *signals: signal.Signals) -> Play:
    async def play(world: World, streams: int) -> Sequence[Outcome]:
        clients = await underway(world, request, 2, streams)
        server = world.bridge.server
        moment = time.time()
        for number in signals:
            server.process.send_signal(number)
            await server.logged("stopping")
        told = await outcomes(clients, moment)
        exit_status = await server.wait()
        return instead(told, wrong(f"exit status {exit_status}")) if exit_status else told

    return play


async def _meets_a_defect(world: World, streams: int) -> Sequence[Outcome]:
    """Let every other stream meet it, and none of the others."""
    requests = [_DEFECTIVE if index % 2 else HEALTHY for index in range(streams)]
    told = await outcomes(await world.ask_all(requests))
    right = [failed("INTERNAL") if index % 2 else FINISHED for index in range(streams)]
    return [
        one if one.ending == expected else Outcome(one.request_id, wrong(str(one.ending)))
        for one, expected in zip(told, right, strict=True)
    ]


async def _is_killed(world: World, streams: int) -> Sequence[Outcome]:
    clients = await underway(world, hanging(2), 2, streams)
    moment = time.time()
    await world.bridge.kill()
    return await outcomes(clients, moment)


def _bridge(name: str, expected: Ending, play: Play, grace: int) -> Fault:
    setup = with_grace(grace)
    return Fault(f"bridge {name}", Side.BRIDGE, frozenset({expected}), play, setup, 50)


_DEFECTIVE = scripted({"chunks": ["a", DEFECT, "b"]})
_IN_TIME = scripted({"text": "a", "count": 30, "interval_ms": 50}, due=1.45)
_CUT = failed("UNAVAILABLE")

FAULTS = (
    *(
        _bridge(f"stops ({number.name}), streams end in its grace", FINISHED, play, 20)
        for number in (signal.SIGTERM, signal.SIGINT)
        for play in [_stops(_IN_TIME, number)]
    ),
    _bridge(
        "stops, and has a second signal at once",
        _CUT,
        _stops(hanging(2), signal.SIGTERM, signal.SIGTERM),
        20,
    ),
    *(
        _bridge(
            f"stops (SIGTERM), streams outlast its grace of {grace} s",
            _CUT,
            _stops(hanging(2), signal.SIGTERM),
            grace,
        )
        for grace in (0, 1)
    ),
    Fault(
        "bridge has a defect that some messages meet",
        Side.BRIDGE,
        frozenset({FINISHED, failed("INTERNAL")}),
        _meets_a_defect,
        DEFECTIVE,
        logged_errors=True,
    ),
    Fault(
        "bridge killed (SIGKILL)",
        Side.BRIDGE,
        frozenset({CUT}),
        _is_killed,
        with_grace(1),
        recorded=False,
    ),
)
