import asyncio
from collections import Counter

import pytest
from structlog.testing import capture_logs

from bridge.open_streams import OpenStreams
from tests.conftest import eventually


class Stream:
    def __init__(self) -> None:
        self.cuts = 0
        self.ticks: list[float] = []

    def cut(self) -> None:
        self.cuts += 1

    def tick(self, now: float) -> None:
        self.ticks.append(now)


def test_every_open_stream_is_cut_and_no_ended_one() -> None:
    streams = OpenStreams()
    open_one, ended = Stream(), Stream()
    streams.add(open_one)
    streams.add(ended)
    streams.discard(ended)
    assert len(streams) == 1
    streams.cut_all()
    assert (open_one.cuts, ended.cuts) == (1, 0)


def test_a_stream_that_comes_too_late_is_cut_at_once() -> None:
    streams = OpenStreams()
    streams.cut_all()
    late = Stream()
    streams.add(late)
    assert late.cuts == 1


@pytest.mark.logs_errors
async def test_a_tick_that_fails_cuts_its_stream_and_no_other() -> None:
    class Failing(Stream):
        def tick(self, now: float) -> None:
            raise ZeroDivisionError

    streams = OpenStreams()
    failing, other = Failing(), Stream()
    streams.add(failing)
    streams.add(other)
    clock = asyncio.create_task(streams.keep_time())
    with capture_logs() as logged:
        await eventually(lambda: len(other.ticks) > 1)
    clock.cancel()
    assert failing.cuts > 0
    assert other.cuts == 0
    assert {line["event"] for line in logged} == {"a tick of a stream failed"}


async def test_the_ticks_of_many_streams_let_messages_pass_between_them() -> None:
    turn = 0

    async def count_turns() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    class Timed(Stream):
        def tick(self, now: float) -> None:
            super().tick(now)
            turns[turn] += 1

    turns: Counter[int] = Counter()
    streams = OpenStreams()
    many = [Timed() for _ in range(1050)]
    for stream in many:
        streams.add(stream)
    async with asyncio.TaskGroup() as tasks:
        others = [tasks.create_task(count_turns()), tasks.create_task(streams.keep_time())]
        await eventually(lambda: all(stream.ticks for stream in many))
        for other in others:
            other.cancel()
    assert max(turns.values()) <= 50


async def test_streams_tick_in_turn_whatever_others_come_and_go() -> None:
    class Named(Stream):
        def __init__(self, name: int) -> None:
            super().__init__()
            self.name = name

        def tick(self, now: float) -> None:
            super().tick(now)
            order.append(self.name)
            if self.name % 2:
                streams.discard(self)
                streams.add(Named(self.name + 1000))

    order: list[int] = []
    streams = OpenStreams()
    lasting = [Named(2 * number) for number in range(100)]
    for stream in lasting:
        streams.add(stream)
        streams.add(Named(stream.name + 1))
    clock = asyncio.create_task(streams.keep_time())
    await eventually(lambda: all(len(stream.ticks) > 2 for stream in lasting))
    clock.cancel()
    names = [stream.name for stream in lasting]
    of_lasting = [name for name in order if name in names]
    assert of_lasting[: 3 * len(names)] == 3 * names


async def test_a_stream_that_has_ended_has_no_tick_of_those_that_are_under_way() -> None:
    class Ending(Stream):
        other: Stream

        def tick(self, now: float) -> None:
            super().tick(now)
            streams.discard(self.other)

    streams = OpenStreams()
    first, second = Ending(), Ending()
    first.other, second.other = second, first
    streams.add(first)
    streams.add(second)
    clock = asyncio.create_task(streams.keep_time())
    await eventually(lambda: len(first.ticks) + len(second.ticks) > 1)
    clock.cancel()
    assert min(len(first.ticks), len(second.ticks)) == 0
