"""What is tried again, when, and how often: by itself, and on the wire."""

import asyncio

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status as RpcStatus

from bridge.failure import Failure
from bridge.retry import RetryBudget, pause_before_retry, retry_advice
from bridge.settings import Settings
from bridge.status import Status
from bridge.upstream import RpcError
from bridge.upstream.completion import STREAM_COMPLETION
from bridge.verdict import Outcome
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend
from tests.conftest import DONE, ask, eventually, http_client, on_each_transport, serving_bridge

PATH = "/v1/chat/completions"
AWAY = grpc.StatusCode.UNAVAILABLE
GONE = b'data: {"error":"gone","code":"UNAVAILABLE","retryable":true}\n\n' + DONE


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.UNAVAILABLE])
def test_only_unavailable_is_tried_again(status: Status) -> None:
    assert pause_before_retry(RpcError(status), 0) is None


def test_the_pause_doubles_up_to_a_limit_and_is_spread() -> None:
    for attempt, longest in enumerate([0.1, 0.2, 0.4, 0.8, 1.6, 2, 2]):
        pauses = {pause_before_retry(RpcError(Status.UNAVAILABLE), attempt) for _ in range(50)}
        assert len(pauses) > 1
        assert all(pause is not None and longest / 2 <= pause <= longest for pause in pauses)


def trailers_with(seconds: float) -> list[tuple[str, str | bytes]]:
    delay = Duration()
    delay.FromMilliseconds(int(seconds * 1000))
    details = [Any(), Any()]
    details[0].Pack(ErrorInfo(reason="busy"))
    details[1].Pack(RetryInfo(retry_delay=delay))
    return [("grpc-status-details-bin", RpcStatus(details=details).SerializeToString())]


@pytest.mark.parametrize(
    ("trailers", "pause"),
    [
        ([("grpc-retry-pushback-ms", "250")], 0.25),
        ([("grpc-retry-pushback-ms", "-1")], None),
        ([("grpc-retry-pushback-ms", "soon")], None),
        ([("grpc-retry-pushback-ms", "9" * 5000)], None),
        (trailers_with(1.5), 1.5),
        ([("grpc-retry-pushback-ms", "0"), *trailers_with(1.5)], 0),
    ],
)
def test_the_server_says_when_or_that_it_must_not_be(
    trailers: list[tuple[str, str | bytes]], pause: float | None
) -> None:
    assert pause_before_retry(RpcError(Status.UNAVAILABLE, trailers=trailers), 0) == pause


BAD_RETRY_INFO = Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\xff")


@pytest.mark.parametrize(
    "details",
    [
        b"\xff\xff",
        RpcStatus().SerializeToString(),
        RpcStatus(details=[BAD_RETRY_INFO]).SerializeToString(),
    ],
)
def test_details_that_say_nothing_are_passed_over(details: bytes) -> None:
    error = RpcError(Status.UNAVAILABLE, trailers=[("grpc-status-details-bin", details)])
    assert pause_before_retry(error, 0) is not None


@pytest.mark.parametrize(
    ("status", "again"),
    [
        (Status.UNAVAILABLE, "true"),
        (Status.RESOURCE_EXHAUSTED, "true"),
        (Status.ABORTED, "true"),
        # The backend has worked until the deadline.
        (Status.DEADLINE_EXCEEDED, "false"),
        (Status.INTERNAL, "false"),
        (Status.INVALID_ARGUMENT, "false"),
    ],
)
def test_a_client_is_told_whether_to_send_its_request_again(status: Status, again: str) -> None:
    failure = Failure("why", status)
    assert retry_advice(failure, paid=False) == {"x-should-retry": again}
    assert retry_advice(failure, paid=True) == {"x-should-retry": "false"}


def test_a_client_is_told_when_to_send_its_request_again() -> None:
    failure = Failure("why", Status.UNAVAILABLE, retry_after=0.25)
    assert retry_advice(failure, paid=False) == {
        "x-should-retry": "true",
        "retry-after": "1",
        "retry-after-ms": "250",
    }
    assert retry_advice(failure, paid=True) == {"x-should-retry": "false"}


def test_retries_are_a_tenth_of_the_calls_and_ten_at_once() -> None:
    budget = RetryBudget()
    taken = 0
    for _ in range(1000):
        budget.add_call()
        taken += budget.take()
        taken += budget.take()
    assert 100 <= taken <= 110
    for _ in range(1000):
        budget.add_call()
    assert [budget.take() for _ in range(12)] == [True] * 10 + [False] * 2


@on_each_transport
@pytest.mark.parametrize("failures", [1, 2])
async def test_a_call_that_fails_before_its_first_message_is_tried_again(
    stepped: SteppedBackend, failures: int
) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        for _ in range(failures):
            await stepped.end(AWAY, "gone")
        await stepped.send(StreamCompletionResponse(text="a"))
        await stepped.end()
        response = await http.post(PATH, json=ask("hello"), headers={"x-request-id": "r"})
        record = await running.record("r")
    assert response.content == b'data: {"content":"a"}\n\n' + DONE
    assert (record.outcome, record.retries) == (Outcome.FINISHED, failures)


@on_each_transport
async def test_a_call_is_not_tried_for_ever(stepped: SteppedBackend) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        for _ in range(3):
            await stepped.end(AWAY, "gone")
        response = await http.post(PATH, json=ask("hello"), headers={"x-request-id": "r"})
        record = await running.record("r")
    assert response.content == GONE
    assert (record.code, record.retries) == ("UNAVAILABLE", 2)


@on_each_transport
async def test_a_call_is_never_tried_again_after_a_message(stepped: SteppedBackend) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        await stepped.send(StreamCompletionResponse(text="a"))
        await stepped.end(AWAY, "gone")
        response = await http.post(PATH, json=ask("hello"), headers={"x-request-id": "r"})
        record = await running.record("r")
    assert response.content == b'data: {"content":"a"}\n\n' + GONE
    assert record.retries == 0


@on_each_transport
async def test_a_pause_that_is_longer_than_the_deadline_is_not_waited_for(
    stepped: SteppedBackend,
) -> None:
    stepped.trailers = (("grpc-retry-pushback-ms", "60000"),)
    async with (
        serving_bridge(Settings(backend=stepped.address, deadline=30)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        await stepped.end(AWAY, "gone")
        assert (await http.post(PATH, json=ask("hello"))).content == GONE


@on_each_transport
async def test_a_client_that_leaves_in_a_pause_ends_it(stepped: SteppedBackend) -> None:
    stepped.trailers = (("grpc-retry-pushback-ms", "60000"),)
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        await stepped.end(AWAY, "gone")
        asking = asyncio.create_task(
            http.post(PATH, json=ask("hello"), headers={"x-request-id": "r"})
        )
        await eventually(lambda: stepped.ended == 1)
        asking.cancel()
        record = await running.record("r")
    assert (record.outcome, record.retries) == (Outcome.LEFT, 0)
    assert stepped.asked_for.count(STREAM_COMPLETION.path) == 1


@on_each_transport
async def test_an_outage_is_not_made_worse(stepped: SteppedBackend) -> None:
    calls = 60
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        for _ in range(3 * calls):
            await stepped.end(AWAY, "gone")
        answers = await asyncio.gather(*(http.post(PATH, json=ask("hello")) for _ in range(calls)))
    assert {answer.content for answer in answers} == {GONE}
    assert stepped.asked_for.count(STREAM_COMPLETION.path) <= calls + 10 + calls / 10
