"""A bounded queue."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2

from backend.engines.turns import Turns
from backend.status import RpcError


async def waiting(turns: Turns) -> asyncio.Task[None]:
    task = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    return task


async def test_turns_are_given_in_the_order_of_asking() -> None:
    turns = Turns(at_once=2, waiting=2)
    await turns.take()
    await turns.take()
    third, fourth = await waiting(turns), await waiting(turns)
    turns.end()
    await third
    assert not fourth.done()
    turns.end()
    await fourth


async def test_whoever_finds_the_queue_full_is_told_when_to_come_again() -> None:
    turns = Turns(at_once=1, waiting=1)
    await turns.take()
    second = await waiting(turns)
    with pytest.raises(RpcError) as caught:
        await turns.take()
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.message == "the model is busy, and 1 requests wait for it already"
    (detail,) = caught.value.details
    assert isinstance(detail, error_details_pb2.RetryInfo)
    assert detail.retry_delay.ToMilliseconds() == 1000
    turns.end()
    await second


async def test_nobody_waits_when_nobody_may() -> None:
    turns = Turns(at_once=1, waiting=0)
    await turns.take()
    with pytest.raises(RpcError):
        await turns.take()


async def test_whoever_leaves_the_queue_makes_room() -> None:
    turns = Turns(at_once=1, waiting=1)
    await turns.take()
    second = await waiting(turns)
    second.cancel()
    await asyncio.wait([second])
    third = await waiting(turns)
    assert not third.done()
    turns.end()
    await third
