"""A deadline that both ends see pass: who is first must not matter to the status."""

import time
from dataclasses import dataclass, field

import pytest

from bridge.status import Status
from bridge.upstream import native
from bridge.upstream.address import Endpoint
from bridge.upstream.call import ChannelOptions, RpcError
from bridge.upstream.completion import STREAM_COMPLETION
from protos.completion.v1.completion_pb2 import Message, StreamCompletionRequest
from tests.faults.hostile_backend import saying, serving_hostile
from tests.faults.misbehaviour import Act
from tests.faults.raw_http2 import HostileCall

DEADLINE_SECONDS = 0.5


@dataclass
class Seen:
    """An observer that keeps what it is told."""

    failures: list[Status] = field(default_factory=list)
    open: int = 0

    def call_began(self) -> None:
        self.open += 1

    def call_ended(self) -> None:
        self.open -= 1

    def call_failed(self, error: RpcError) -> None:
        self.failures.append(error.status)


async def ending_with(act: Act, deadline: float) -> tuple[RpcError, Seen]:
    """Return how a call ends that a backend answers with ``act``."""
    seen = Seen()
    async with serving_hostile() as hostile:
        hostile.acts["cancelled"] = act
        options = ChannelOptions(1 << 20, keepalive=0, keepalive_timeout=1)
        channel = native.connect(Endpoint(hostile.address, "backend"), options, None, seen)
        request = StreamCompletionRequest(messages=[Message(content=saying("cancelled"))])
        with pytest.raises(RpcError) as raised:
            await channel.unary(STREAM_COMPLETION, request, deadline=deadline)
        await channel.close()
    return raised.value, seen


async def _reset(call: HostileCall) -> None:
    await call.reset(8)


async def _trailers(call: HostileCall) -> None:
    await call.trailers("1", ("grpc-message", "the deadline has passed"))


@pytest.mark.parametrize("act", [_reset, _trailers])
async def test_a_backend_that_cancels_when_the_deadline_has_passed_is_late(act: Act) -> None:
    async def when_it_has_passed(call: HostileCall) -> None:
        await act(call)
        # The loop finds the answer and the timer in one round, and reads before it looks at
        # timers. The call began before now.
        time.sleep(DEADLINE_SECONDS)  # noqa: ASYNC251

    ending, seen = await ending_with(when_it_has_passed, DEADLINE_SECONDS)
    assert ending.status is Status.DEADLINE_EXCEEDED
    assert not ending.message
    assert seen.failures == [Status.DEADLINE_EXCEEDED]
    assert seen.open == 0


@pytest.mark.parametrize("act", [_reset, _trailers])
async def test_a_backend_that_cancels_in_time_is_believed(act: Act) -> None:
    ending, seen = await ending_with(act, 60)
    assert ending.status is Status.CANCELLED
    assert not seen.failures
    assert seen.open == 0
