"""Whatever a backend answers, both transports make the same of it, to the byte."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status as RpcStatus

from bridge.settings import Settings
from bridge.upstream.transport import Transport
from tests.conftest import TRANSPORTS, RunningBridge, ask, http_client, serving_bridge
from tests.faults.hostile_backend import MISBEHAVIOURS, HostileBackend, saying
from tests.faults.misbehaviour import Act
from tests.faults.wrong_statuses import trailers

# What no two answers share.
OF_ITS_OWN = {"date", "x-request-id", "content-length"}

PATH = "/v1/chat/completions"

Pair = Mapping[Transport, RunningBridge]


@pytest.fixture(scope="module")
async def pair(hostile: HostileBackend) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        running = {}
        for transport in TRANSPORTS:
            settings = Settings(backend=hostile.address, transport=transport)
            running[transport] = await stack.enter_async_context(serving_bridge(settings))
        yield running


@dataclass(frozen=True)
class Case:
    """What a backend does, and how it is asked.

    Attributes:
        name: What it does.
        act: Does it.
        after: After how many good messages.
        headers: What is asked for besides.
        stream: Whether a stream is asked for.
    """

    name: str
    act: Act
    after: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: bool = True

    def __str__(self) -> str:
        how = [*self.headers.values(), *([] if self.stream else ["whole"])]
        return "-".join([self.name, str(self.after), *how])


@dataclass(frozen=True)
class Told:
    """What a client is told, and what is recorded of it."""

    http_status: int
    headers: Mapping[str, str]
    body: str
    outcome: str
    code: str | None
    messages: int
    retries: int


async def told(
    running: RunningBridge, hostile: HostileBackend, case: Case, transport: Transport
) -> Told:
    request_id = f"{case}-{transport}"
    hostile.acts[case.name] = case.act
    body = ask(saying(case.name, case.after, held=True), stream=case.stream)
    headers = {"x-request-id": request_id, **case.headers}
    if not (case.after and case.stream):
        hostile.go_on(request_id)
    got = b""
    async with (
        http_client(running.url, timeout=30) as http,
        http.stream("POST", PATH, json=body, headers=headers) as response,
    ):
        async for chunk in response.aiter_raw():
            got += chunk
            if got.count(b"\n\n") >= case.after:
                hostile.go_on(request_id)
    record = await running.record(request_id)
    return Told(
        response.status_code,
        {name: response.headers[name] for name in response.headers.keys() - OF_ITS_OWN},
        got.decode().replace(request_id, "the id"),
        record.outcome,
        record.code,
        record.messages,
        record.retries,
    )


def retry_info(milliseconds: int) -> tuple[str, str]:
    """Return the trailer by which a backend says when to try again."""
    delay = Duration()
    delay.FromMilliseconds(milliseconds)
    detail = Any()
    detail.Pack(RetryInfo(retry_delay=delay))
    raw = RpcStatus(code=14, details=[detail]).SerializeToString()
    return "grpc-status-details-bin", base64.b64encode(raw).decode()


MESSAGE = ("grpc-message", "why, caf%C3%A9?")
# grpc.aio doesn't tell that the backend hasn't begun the RPC, which makes it be tried more often.
UNTOLD = ("goaway-before-this", 0)

PREFER = {"prefer": "status"}
HURRY = {"x-request-timeout": "0.3"}


def statuses() -> Iterator[Case]:
    """Yield every status, and two that there are not, in every form of an answer."""
    for code in (*range(17), 17, 99):
        name, act = f"status-{code}", trailers(("grpc-status", str(code)), MESSAGE)
        yield Case(name, act)
        yield Case(name, act, after=2)
        yield Case(name, act, headers=PREFER)
        yield Case(name, act, stream=False)


def retries() -> Iterator[Case]:
    """Yield what says when an RPC is to be tried again, or that it is not."""
    for name, trailer in {
        "pushback-0": ("grpc-retry-pushback-ms", "0"),
        "pushback-forbidden": ("grpc-retry-pushback-ms", "-1"),
        "retry-info": retry_info(10),
    }.items():
        yield Case(name, trailers(("grpc-status", "14"), MESSAGE, trailer))


def cuts() -> Iterator[Case]:
    """Yield every end of a stream without a status, and of a connection."""
    for name, misbehaviour in MISBEHAVIOURS.items():
        if name.startswith(("reset-", "close", "abort", "goaway-", "no-trailers")):
            for after in misbehaviour.after:
                if (name, after) != UNTOLD:
                    yield Case(name, misbehaviour.act, after)


def deadlines() -> Iterator[Case]:
    """Yield what only the deadline ends."""
    for name in ("silence", "silence-from-the-start"):
        misbehaviour = MISBEHAVIOURS[name]
        for after in misbehaviour.after:
            yield Case(name, misbehaviour.act, after, HURRY)
            yield Case(name, misbehaviour.act, after, HURRY, stream=False)


CASES = [*statuses(), *retries(), *cuts(), *deadlines()]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_both_answer_the_same(case: Case, pair: Pair, hostile: HostileBackend) -> None:
    one, other = await asyncio.gather(
        *(told(running, hostile, case, transport) for transport, running in pair.items())
    )
    assert one == other
