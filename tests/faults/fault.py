"""A fault, what it is expected to do to a stream, and what it did."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tests.faults.client import Client, Request
from tests.faults.endings import LEFT, SILENT, Ending, Kind
from tests.faults.world import Held, Setup, World
from tests.processes import Record

# Nothing is expected to be silent for so long.
BOUND = 20.0


class Side(StrEnum):
    """Where a fault strikes."""

    NETWORK = "network"
    CLIENT = "client"
    BACKEND = "backend"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one stream.

    Attributes:
        request_id: Its ``x-request-id``.
        ending: How it ended for its client.
        seconds: From the moment in which the fault struck to the verdict.
        left_at: When its client left, in seconds since the epoch; the bridge's record has the
            moment of its verdict.
    """

    request_id: str
    ending: Ending
    seconds: float | None = None
    left_at: float | None = None


Play = Callable[[World, int], Awaitable[Sequence[Outcome]]]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: What goes wrong, in a few words.
        side: Where.
        expected: How a stream may end by it.
        play: Makes it happen to so many streams at the same time.
        setup: The servers that it needs.
        at_a_time: The most streams to play it with.
        recorded: Whether the bridge lives to write the records of its streams.
        logged_errors: Whether each stream that fails is an error in the log, with its trace.
        group: What it is called together with others of its kind, in the document.
    """

    name: str
    side: Side
    expected: frozenset[Ending]
    play: Play
    setup: Setup = field(default_factory=Setup)
    at_a_time: int = 25
    recorded: bool = True
    logged_errors: bool = False
    group: str = ""


async def outcome(client: Client, struck: float | None = None, seconds: float = BOUND) -> Outcome:
    """Read an answer to its end.

    Args:
        client: Whose.
        struck: When the fault struck; when its request said it would, by default.
        seconds: The longest silence.
    """
    ending = await client.ending(seconds)
    struck = client.sent + client.request.due if struck is None else struck
    return Outcome(client.request_id, ending, max(0.0, client.ended - struck))


async def outcomes(clients: Sequence[Client], struck: float | None = None) -> list[Outcome]:
    """Read answers to their ends, at the same time."""
    return list(await asyncio.gather(*(outcome(client, struck) for client in clients)))


async def left(world: World, clients: Sequence[Client], left_at: float) -> list[Outcome]:
    """Wait until the bridge has seen that ``clients`` are gone, as they are since ``left_at``."""
    await world.recorded({client.request_id for client in clients}, BOUND)
    seen = world.stream_records().keys()
    for client in clients:
        await client.leave(abruptly=True)
    return [
        Outcome(c.request_id, LEFT if c.request_id in seen else SILENT, left_at=left_at)
        for c in clients
    ]


def asking(request: Callable[[], Request] | Request) -> Play:
    """Return a play that needs nothing but a request."""

    async def play(world: World, streams: int) -> Sequence[Outcome]:
        made = [request if isinstance(request, Request) else request() for _ in range(streams)]
        return await outcomes(await world.ask_all(made))

    return play


@dataclass(frozen=True)
class Result:
    """What a fault did to all streams that it was played with.

    Attributes:
        fault: The fault.
        outcomes: What became of each stream.
        before: What was held before.
        after: What was held when all had ended.
        disagreements: What the bridge's records say otherwise than the clients.
        errors: What the bridge logged as an error, or not as JSON.
    """

    fault: Fault
    outcomes: Sequence[Outcome]
    before: Held
    after: Held
    disagreements: Sequence[str] = field(default_factory=list)
    errors: Sequence[str] = field(default_factory=list)

    @property
    def unexpected(self) -> list[Outcome]:
        """The streams that ended in a way that they must not."""
        return [o for o in self.outcomes if o.ending not in self.fault.expected]

    @property
    def without_verdict(self) -> int:
        """How many streams have no verdict, but for those that the fault itself cut off."""
        allowed = self.fault.expected
        kinds = {Kind.NO_VERDICT, Kind.CUT}
        return sum(o.ending.kind in kinds and o.ending not in allowed for o in self.outcomes)

    @property
    def tasks_left(self) -> int:
        """How many tasks are more than before."""
        return max(0, self.after.tasks - self.before.tasks)

    @property
    def descriptors_left(self) -> int:
        """How many descriptors are more than before."""
        return max(0, self.after.descriptors - self.before.descriptors)

    @property
    def complaints(self) -> list[str]:
        """What is not as it has to be; empty when all is well."""
        found = [f"{o.request_id} ended as: {o.ending}" for o in self.unexpected]
        found += [*self.disagreements, *self.errors]
        left = {
            "RPCs": self.after.calls,
            "streams": self.after.streams,
            "tasks": self.tasks_left,
            "descriptors": self.descriptors_left,
        }
        return found + [f"{count} {what} left" for what, count in left.items() if count]

    def times(self) -> list[float]:
        """Return the seconds to each verdict, the shortest first."""
        return sorted(o.seconds for o in self.outcomes if o.seconds is not None)


async def run(fault: Fault, world: World, streams: int, *, warm_up: bool = True) -> Result:
    """Play ``fault`` with so many streams in all, by default after one round to get warm."""
    if warm_up:
        await fault.play(world, min(streams, fault.at_a_time))
    await world.heal()
    before = await world.settled(await world.held())
    logged = len(world.bridge.records())
    noise = len(_noise(world))
    played: list[Outcome] = []
    while len(played) < streams:
        played += await fault.play(world, min(fault.at_a_time, streams - len(played)))
        await world.heal()
    after = await world.settled(before)
    if fault.recorded:
        ids = {o.request_id for o in played if o.ending.kind is not Kind.STATUS}
        await world.recorded(ids, 5)
    records = world.stream_records()
    told = [_with_time(o, records[o.request_id]) for o in played]
    disagreements = (_disagreement(o, records[o.request_id]) for o in told if fault.recorded)
    lies = [why for why in disagreements if why]
    errors = [record for record in world.bridge.records()[logged:] if _is_error(record)]
    if fault.logged_errors:
        lies += _without_an_error(told, errors)
        errors = []
    return Result(fault, told, before, after, lies, [*map(str, errors), *_noise(world)[noise:]])


def _without_an_error(told: Sequence[Outcome], errors: Sequence[Record]) -> list[str]:
    logged = [record["request_id"] for record in errors if record["exception"]]
    failed = [o.request_id for o in told if o.ending.kind is Kind.FAILED]
    return [f"{one} has {logged.count(one)} errors" for one in failed if logged.count(one) != 1]


def _is_error(record: Record) -> bool:
    return record["level"] in {"error", "critical"}


def _noise(world: World) -> list[str]:
    return [line for life in world.bridge.lives for line in life.other_output]


def _with_time(told: Outcome, records: Sequence[Record]) -> Outcome:
    if told.left_at is None or not records:
        return told
    moment = datetime.datetime.fromisoformat(records[0]["timestamp"]).timestamp()
    return Outcome(told.request_id, told.ending, max(0.0, moment - told.left_at))


def _disagreement(told: Outcome, records: Sequence[Record]) -> str | None:
    """Return what the record says otherwise than the client saw."""
    if told.ending.kind is Kind.STATUS and not records:
        return None
    if len(records) != 1:
        return f"{told.request_id} has {len(records)} records"
    outcome, code = records[0]["outcome"], records[0]["code"]
    agrees = {
        Kind.FINISHED: outcome == "finished",
        Kind.FAILED: outcome in {"failed", "cut by shutdown"} and code == told.ending.detail,
        Kind.STATUS: outcome == "failed" and told.ending.detail.endswith(f" {code}"),
        Kind.LEFT: outcome == "left by the client",
        Kind.CUT: outcome == "left by the client",
        Kind.NO_VERDICT: True,
        Kind.WRONG: False,
    }[told.ending.kind]
    return None if agrees else f"{told.request_id}: {told.ending}, but recorded {outcome} {code}"
