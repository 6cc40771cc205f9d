"""From a thread to the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from backend.engines.handover import Handover
from tests.conftest import eventually


async def test_values_arrive_in_order_and_then_comes_the_end() -> None:
    values: Handover[int] = Handover(room=3)

    def produce() -> list[bool]:
        return [values.put(number) for number in range(100)]

    with ThreadPoolExecutor(1) as threads:
        work = asyncio.get_running_loop().run_in_executor(threads, produce)
        work.add_done_callback(lambda _: values.close())
        taken = []
        while (value := await values.take()) is not None:
            taken.append(value)
        assert taken == list(range(100))
        assert all(await work)


async def test_the_thread_waits_when_nothing_is_taken_and_goes_on_when_it_is() -> None:
    values: Handover[int] = Handover(room=3)
    put: list[bool] = []

    def produce() -> None:
        for number in range(10):
            put.append(values.put(number))

    with ThreadPoolExecutor(1) as threads:
        work = asyncio.get_running_loop().run_in_executor(threads, produce)
        await eventually(lambda: len(put) == 3)
        assert await asyncio.wait([work], timeout=0.2) == (set(), {work})
        assert len(put) == 3
        assert [await values.take() for _ in range(10)] == list(range(10))
        await work


async def test_a_waiting_thread_is_told_when_nobody_takes_any_more() -> None:
    values: Handover[int] = Handover(room=1)
    put: list[bool] = []

    def produce() -> None:
        while not put or put[-1]:
            put.append(values.put(0))

    with ThreadPoolExecutor(1) as threads:
        work = asyncio.get_running_loop().run_in_executor(threads, produce)
        await eventually(lambda: len(put) == 1)
        values.abandon()
        await work
    assert put == [True, False]
