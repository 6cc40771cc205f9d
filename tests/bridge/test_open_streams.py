import asyncio

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
