"""The bench with a handful of streams: what it says of each peer is true."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bench import programme
from bench.figures import IMBALANCE
from bench.loads import BALANCE, FLOOD, IDLE_2000, PACED_200, SHORT, SLOW, Load
from bench.peers import Peer, Place, Role, bridge, transports, workers
from bench.run import Bench, bench
from tests.bench.lossy import LOSSES

PACED = replace(PACED_200, streams=4, rate=20, warm_up=0.1, seconds=0.5)
SMALL = [
    replace(FLOOD, streams=2, warm_up=0.1, seconds=0.2),
    replace(SHORT, streams=20, warm_up=0.3, seconds=0.5),
    replace(IDLE_2000, streams=20, warm_up=0.1, seconds=0.2),
    replace(SLOW, streams=2, stalled=2, warm_up=0.1, seconds=0.5),
]
ON_ONE_CORE = [peer for peer in programme.every_peer().values() if not peer.all_cores]


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Bench]:
    async with bench() as found:
        yield found


@pytest.mark.parametrize("peer", ON_ONE_CORE, ids=lambda peer: peer.name)
async def test_every_peer_carries_every_stream_whole(running: Bench, peer: Peer) -> None:
    run = await running.run(peer, PACED, 0)
    assert run.complaints == []
    assert run.whole == PACED.streams
    assert run.messages > 0
    assert run.cpu > 0
    assert 0 < run.delays["0.5"] <= run.delays["1"]


@pytest.mark.parametrize("load", SMALL, ids=lambda load: load.name)
async def test_the_bridge_carries_every_load(running: Bench, load: Load) -> None:
    run = await running.run(bridge(transports()[0]), load, 0)
    assert run.complaints == []
    match load.kind:
        case FLOOD.kind:
            assert run.messages > 0
        case SHORT.kind:
            assert run.whole == int((load.warm_up + load.seconds) * load.streams)
            assert run.firsts
        case IDLE_2000.kind:
            assert run.connections == [load.streams]
        case SLOW.kind:
            assert run.whole == load.streams + load.stalled


def lossy(place: Place) -> list[str]:
    listen = ["--port", str(place.port), "--backend", place.backend]
    return [sys.executable, "-m", "tests.bench.lossy", *listen]


async def test_a_peer_that_loses_something_is_marked(running: Bench) -> None:
    peer = Peer("lossy", "loses something", lossy, "compact", role=Role.SOURCE)
    load = replace(PACED, streams=len(LOSSES))
    run = await running.run(peer, load, 0)
    assert run.whole == 0
    assert run.faults == {
        "bytes that belong to no message": 1,
        "a message is missing, or out of order": 2,
        "the ending is missing, or has other bytes": 1,
    }
    assert len(run.complaints) == len(run.faults)


@pytest.mark.parametrize("load", [PACED, SMALL[2]], ids=lambda load: load.name)
async def test_streams_that_a_peer_refuses_are_counted(running: Bench, load: Load) -> None:
    usual = bridge(transports()[0])
    full = replace(usual, env={**usual.env, "BRIDGE_MAX_STREAMS": "3"})
    run = await running.run(full, load, 0)
    assert (run.refused, run.complaints) == (load.streams - 3, [f"{load.streams - 3} refused"])


async def test_a_worker_without_connections_counts_as_one(running: Bench) -> None:
    peer = workers(transports()[0], 2)
    run = await running.run(peer, replace(BALANCE, streams=1, warm_up=0.1, seconds=0.1), 0)
    assert run.connections == [1, 0]
    assert IMBALANCE.of(run, BALANCE) == 2
