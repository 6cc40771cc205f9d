"""Which load is put on whom, and how often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench import loads, peers
from bench.loads import Load
from bench.peers import Peer
from bench.speed import MUCH, NONE, Patience

# Of what isn't held against a limit.
FEWER_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """One load, and the peers that are put beside each other under it.

    Attributes:
        load: The load.
        peers: The peers.
        rounds: The most rounds.
        patience: How much is done for runs that nobody disturbs.
    """

    load: Load
    peers: Sequence[Peer]
    rounds: int = 1000
    patience: Patience = MUCH


def ours() -> Peer:
    """Return the bridge as it is when nothing is set."""
    return peers.bridge(peers.transports()[0])


def full() -> list[Trial]:
    """Return all trials: what is held against a limit first, with the most rounds and patience."""
    transports = peers.transports()
    first = transports[0]
    pair = [peers.ENVOY, ours()]
    alternatives = [peers.bridge(transport) for transport in transports[1:]]
    everybody = peers.STREAMING_RESPONSE
    libraries = [peers.EVENT_SOURCE, peers.SSE_STARLETTE]
    others = [*alternatives, everybody, *libraries]
    floors = [peers.PLAIN_UVICORN, *map(peers.receiver, transports)]
    all_cores = [peers.ENVOY_ALL, peers.workers(first, 1), peers.workers(first, 2)]
    least, *growth = loads.GROWTH
    return [
        Trial(loads.PACED_200, [*pair, peers.bare_bridge(first), everybody]),
        Trial(least, pair),
        Trial(loads.PACED_2000, pair),
        Trial(loads.PACED_50, pair),
        Trial(loads.SHORT, pair),
        Trial(loads.FLOOD, pair),
        Trial(loads.IDLE_2000, pair),
        *(
            Trial(load, trial, FEWER_ROUNDS, NONE)
            for load, trial in (
                (loads.PACED_200, [*alternatives, *libraries, *floors]),
                (loads.PACED_2000, others),
                (loads.PACED_50, [*alternatives, everybody]),
                (loads.FLOOD, [*others, *floors]),
                (loads.SHORT, others),
                (loads.IDLE_2000, others),
                (loads.IDLE_10000, [*pair, *alternatives]),
                (loads.LARGE, [*pair, *alternatives, everybody]),
                (loads.SLOW, [*pair, *alternatives, everybody]),
                *((load, pair) for load in growth),
                (loads.WORKERS, all_cores),
                (loads.BALANCE, [peers.workers(first, 2)]),
            )
        ),
    ]


def quick() -> list[Trial]:
    """Return what takes two minutes."""
    usual = [peers.ENVOY, *map(peers.bridge, peers.transports()), peers.STREAMING_RESPONSE]
    chosen = (loads.PACED_200, loads.FLOOD, loads.SHORT, loads.IDLE_2000)
    return [Trial(replace(load, seconds=2), usual, patience=NONE) for load in chosen]


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

    The peers take turns in being the first.

    Args:
        trials: What there is to run.
        rounds: How many rounds.
        only: What a peer and its load, as in ``envoy/flood``, must have in their names.
    """
    for number in range(rounds):
        for trial in trials:
            if number >= trial.rounds:
                continue
            turn = number % len(trial.peers)
            for peer in (*trial.peers[turn:], *trial.peers[:turn]):
                if only in f"{peer.name}/{trial.load.name}":
                    yield number, trial, peer
