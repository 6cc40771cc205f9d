"""Which load is put on whom, and how often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench import loads, peers
from bench.loads import Load
from bench.peers import Peer

# Of the loads of which nothing is held against a limit.
FEWER_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """One load, and the peers that are put beside each other under it.

    Attributes:
        load: The load.
        peers: The peers.
        rounds: The most rounds.
    """

    load: Load
    peers: Sequence[Peer]
    rounds: int = 1000


def ours() -> Peer:
    """Return the bridge as it is when nothing is set."""
    return peers.bridge(peers.transports()[0])


def full() -> list[Trial]:
    """Return all trials. Peers that are compared stand beside each other."""
    transports = peers.transports()
    first = transports[0]
    pair = [peers.ENVOY, ours()]
    everybody = peers.STREAMING_RESPONSE
    libraries = [peers.EVENT_SOURCE, peers.SSE_STARLETTE]
    of_trades = [peers.ENVOY_TRADES, peers.of_trades(first)]
    extras = [peers.with_all_extras(first), peers.bare_bridge(first)]
    alternatives = [peers.bridge(transport) for transport in transports[1:]]
    receivers = [peers.receiver(transport) for transport in transports]
    all_cores = [peers.ENVOY_ALL, peers.workers(first, 1), peers.workers(first, 2)]
    every_server = [*pair, everybody, *alternatives, *libraries]
    least, *growth = loads.GROWTH
    return [
        Trial(
            loads.PACED_200,
            [
                *pair,
                *peers.dialects(first),
                everybody,
                *extras,
                *alternatives,
                *libraries,
                *of_trades,
                peers.PLAIN_UVICORN,
                *receivers,
            ],
        ),
        Trial(least, pair),
        Trial(loads.PACED_2000, every_server),
        Trial(loads.PACED_50, [*pair, everybody, *alternatives]),
        Trial(loads.SHORT, [*pair, everybody, *extras, *alternatives, *libraries]),
        Trial(loads.FLOOD, [*every_server, *of_trades, *receivers]),
        Trial(loads.IDLE_2000, [*pair, everybody, *extras, *alternatives, *libraries]),
        Trial(loads.IDLE_10000, [*pair, *alternatives]),
        Trial(loads.BALANCE, [peers.workers(first, 2)]),
        Trial(loads.LARGE, every_server, FEWER_ROUNDS),
        Trial(loads.SLOW, every_server, FEWER_ROUNDS),
        *(Trial(load, pair, FEWER_ROUNDS) for load in growth),
        Trial(loads.WORKERS, all_cores, FEWER_ROUNDS),
    ]


def quick() -> list[Trial]:
    """Return what takes two minutes."""
    usual = [peers.ENVOY, *map(peers.bridge, peers.transports()), peers.STREAMING_RESPONSE]
    chosen = (loads.PACED_200, loads.FLOOD, loads.SHORT, loads.IDLE_2000)
    return [Trial(replace(load, seconds=2), usual) for load in chosen]


def every_peer() -> dict[str, Peer]:
    """Return all peers that there are, by name."""
    return {peer.name: peer for trial in full() for peer in trial.peers}


def every_load() -> dict[str, Load]:
    """Return all loads that there are, by name."""
    return {trial.load.name: trial.load for trial in full()}


def course(
    trials: Sequence[Trial], rounds: int, only: str = ""
) -> Iterator[tuple[int, Trial, Peer]]:
    """Yield what to run: round after round, and in each of them load after load.

    Every other round has its peers in reverse order: those that are compared stay beside each
    other, and neither is always the first.

    Args:
        trials: What there is to run.
        rounds: How many rounds.
        only: What a peer and its load, as in ``envoy/flood``, must have in their names.
    """
    for number in range(rounds):
        for trial in trials:
            if number >= trial.rounds:
                continue
            for peer in trial.peers[:: -1 if number % 2 else 1]:
                if only in f"{peer.name}/{trial.load.name}":
                    yield number, trial, peer
