"""A call from its start to its end, and the record of it."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from backend.engines.catalog import Catalog
from backend.engines.engine import Call as EngineCall
from backend.engines.engine import Delta, Engine
from backend.service import CompletionService
from protos.completion.v1.completion_pb2 import ListModelsRequest, Model, StreamCompletionRequest
from protos.completion.v1.completion_pb2_grpc import add_CompletionServiceServicer_to_server
from tests.backend.calls import Client, asking, client_of, read
from tests.conftest import script as directives
from tests.processes import Record, ServerProcess


async def record_of(process: ServerProcess, request_id: str) -> Record:
    """Wait for the record of a call, and check that there is one."""

    def fits(record: Record) -> bool:
        return bool(record["request_id"] == request_id)

    await process.logged("call ended", where=fits)
    # The log is in order: when a later call has ended, nothing more comes from an earlier one.
    (record,) = (r for r in process.records if r["event"] == "call ended" and fits(r))
    return record


class Watched:
    """An engine that says when it works and when it was closed, and does as the test says."""

    def __init__(self, error: Exception | None = None, messages: int = 0, text: str = "a") -> None:
        self._error = error
        self._messages = messages
        self._text = text
        self.works = asyncio.Event()
        self.closed = asyncio.Event()

    def models(self) -> Sequence[Model]:
        return [Model(id="watched")]

    def serves(self, model: str) -> bool:
        return model == "watched"

    async def complete(self, call: EngineCall) -> AsyncGenerator[Delta]:
        try:
            self.works.set()
            for _ in range(self._messages):
                yield Delta(self._text)
            if self._error:
                raise self._error
            await asyncio.Event().wait()
        finally:
            self.closed.set()


@asynccontextmanager
async def serving_engine(engine: Engine) -> AsyncIterator[Client]:
    server = grpc.aio.server()
    service = CompletionService(Catalog([engine], "watched"))
    add_CompletionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with client_of(f"127.0.0.1:{port}") as client:
            yield client
    finally:
        await server.stop(None)


@pytest.mark.parametrize("messages", [0, 1])
@pytest.mark.parametrize("error", [ValueError("sk-secret"), TimeoutError("sk-secret")])
async def test_an_engine_that_breaks_ends_its_call_and_tells_clients_nothing(
    error: Exception, messages: int
) -> None:
    async with serving_engine(Watched(error, messages)) as client:
        answer = await client.ask(asking("hello", model=""))
    assert answer.texts == ["a"] * messages
    assert answer.code is grpc.StatusCode.INTERNAL
    assert answer.details == "the engine failed; the backend's log tells why"
    assert answer.trailing_metadata == {}


@pytest.mark.parametrize("messages", [0, 1])
async def test_the_engine_of_a_cancelled_call_is_closed_at_once(messages: int) -> None:
    engine = Watched(messages=messages)
    async with serving_engine(engine) as client:
        call = client.call(asking("hello", model=""))
        reading = asyncio.create_task(read(call))
        await engine.works.wait()
        assert not engine.closed.is_set()
        call.cancel()
        async with asyncio.timeout(2):
            await engine.closed.wait()
        await asyncio.wait([reading])


async def test_the_engine_of_a_call_that_nobody_reads_is_closed_at_once_when_it_is_cancelled() -> (
    None
):
    engine = Watched(messages=1000, text="x" * 100_000)
    async with serving_engine(engine) as client:
        call, _ = await client.begin(asking("hello", model=""))
        # Meanwhile the windows fill, and a message waits to be written.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.closed.wait(), 0.5)
        call.cancel()
        async with asyncio.timeout(2):
            await engine.closed.wait()


async def test_an_empty_model_is_the_default(script: Client) -> None:
    answer = await script.ask(asking("hello", model=""))
    assert answer.text == "hello"
    assert answer.messages[0].model == "script"


async def test_an_unknown_model_is_not_found_and_the_known_ones_are_listed(
    script: Client,
) -> None:
    answer = await script.ask(asking("hello", model="gpt-\u221e"))
    assert answer.code is grpc.StatusCode.NOT_FOUND
    assert answer.details == "there is no model 'gpt-\u221e'; the models are: script"


async def test_the_models_are_listed(script: Client) -> None:
    listed = await script.stub.ListModels(ListModelsRequest())
    (model,) = listed.models
    assert (model.id, model.owned_by, model.context_tokens) == ("script", "script", 0)
    assert model.description.startswith("Does what the last message tells it to")


def assert_no_errors(process: ServerProcess) -> None:
    assert process.other_output == []
    assert [record for record in process.records if record["level"] != "info"] == []


async def test_a_finished_call_is_recorded_once(
    script_process: ServerProcess, logged_script: Client
) -> None:
    await logged_script.ask(
        asking(directives(text="a", count=3, interval_ms=50)), metadata=(("x-request-id", "r1"),)
    )
    record = await record_of(script_process, "r1")
    assert record["level"] == "info"
    assert record["method"] == "/completion.v1.CompletionService/StreamCompletion"
    assert record["model"] == "script"
    assert record["code"] == "OK"
    assert record["messages"] == 4
    assert 100 <= record["duration_ms"] < 5000


@pytest.mark.parametrize(
    ("request_", "code", "messages"),
    [
        (StreamCompletionRequest(), "INVALID_ARGUMENT", 0),
        (asking("hello", model="other"), "NOT_FOUND", 0),
        (asking(directives(text="", fail={"code": "DATA_LOSS", "after": 1})), "DATA_LOSS", 1),
    ],
)
async def test_a_failed_call_is_recorded_with_its_code(
    script_process: ServerProcess,
    logged_script: Client,
    request_: StreamCompletionRequest,
    code: str,
    messages: int,
) -> None:
    answer = await logged_script.ask(request_, metadata=(("x-request-id", code),))
    assert answer.code.name == code
    record = await record_of(script_process, code)
    assert (record["code"], record["messages"]) == (code, messages)


@pytest.mark.parametrize(
    ("left", "messages"),
    [
        ({"hang_after": 0}, 0),
        ({"text": "a", "first_ms": 60_000}, 0),
        ({"text": "a", "hang_after": 1}, 1),
        ({"text": "a", "count": 2, "interval_ms": 60_000}, 1),
    ],
)
async def test_a_cancelled_call_ends_at_once(
    script_process: ServerProcess, logged_script: Client, left: dict[str, Any], messages: int
) -> None:
    request_id = f"left {left}"
    call = logged_script.call(asking(directives(**left)), metadata=(("x-request-id", request_id),))
    for _ in range(messages):
        await call.read()
    # A second call on the same connection ends after the first has begun.
    await logged_script.ask(asking("hello"))
    call.cancel()
    record = await record_of(script_process, request_id)
    assert (record["code"], record["messages"]) == ("CANCELLED", messages)


async def test_a_call_that_ran_out_of_time_is_recorded_as_that(
    script_process: ServerProcess, logged_script: Client
) -> None:
    answer = await logged_script.ask(
        asking(directives(hang_after=0)), metadata=(("x-request-id", "late"),), seconds=0.2
    )
    assert answer.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await record_of(script_process, "late"))["code"] == "DEADLINE_EXCEEDED"


async def test_the_calls_of_a_client_that_is_killed_are_cancelled(
    script_process: ServerProcess,
) -> None:
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.backend.busy_client", await script_process.address()),
        stdout=asyncio.subprocess.PIPE,
    )
    assert client.stdout is not None
    assert await client.stdout.readline() == b"reading\n"
    client.send_signal(signal.SIGKILL)
    await client.wait()
    for request_id in ("busy", "silent"):
        assert (await record_of(script_process, request_id))["code"] == "CANCELLED"
    assert_no_errors(script_process)


async def test_a_slow_reader_slows_down_its_own_stream_only(
    script_process: ServerProcess, logged_script: Client
) -> None:
    text = "x" * 10_000
    slow, _ = await logged_script.begin(
        asking(directives(text=text, count=20_000)), metadata=(("x-request-id", "slow"),)
    )
    # Nobody reads it while this takes place on the same connection.
    answer = await logged_script.ask(asking(directives(text="a", count=20, interval_ms=100)))
    assert answer.text == "a" * 20
    slow.cancel()
    record = await record_of(script_process, "slow")
    assert record["code"] == "CANCELLED"
    # What fits into the windows of the connection, and into the client's buffers.
    assert record["messages"] < 1500
    # grpc.aio says so a moment later, if it has something to say.
    await logged_script.ask(asking("hello"), metadata=(("x-request-id", "after slow"),))
    await record_of(script_process, "after slow")
    assert_no_errors(script_process)
