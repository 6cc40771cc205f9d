"""Health, reflection, and how a server ends."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from backend.server import CannotListenError, serving
from backend.settings import ConfigurationError, Settings
from protos.completion.v1.completion_pb2 import ListModelsRequest
from tests.backend.calls import Call, Client, asking, client_of, read
from tests.conftest import eventually
from tests.conftest import script as directives
from tests.processes import ServerProcess, server_process

SERVICE = "completion.v1.CompletionService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SHUTTING_DOWN = "the server is shutting down"

HANG = directives(text="a", hang_after=1)


def settings(grace: float = 0) -> Settings:
    return Settings(port=0, model="script", shutdown_grace=grace)


def health(client: Client) -> health_pb2_grpc.HealthStub:
    return health_pb2_grpc.HealthStub(client.channel)


async def begun(client: Client, script: str = HANG) -> Call:
    """Start a call, and read its first message."""
    call, _ = await client.begin(asking(script))
    return call


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_the_server_and_its_service_are_healthy(script: Client, service: str) -> None:
    checked = await health(script).Check(health_pb2.HealthCheckRequest(service=service))
    assert checked.status == SERVING


async def test_reflection_describes_the_service(script: Client) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(script.channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    listed, described = [reply async for reply in stub.ServerReflectionInfo(iter(requests))]
    assert [service.name for service in listed.list_services_response.service] == [
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    ]
    (file,) = described.file_descriptor_response.file_descriptor_proto
    assert b"StreamCompletionRequest" in file


async def test_an_open_call_may_end_within_the_grace_period_but_no_new_one_begins() -> None:
    async with serving(settings()) as server, client_of(server.address) as client:
        call = await begun(client, directives(text="a", count=10, interval_ms=100))
        watch = health(client).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert (await watch.read()).status == SERVING
        shutting_down = asyncio.create_task(server.shut_down(grace=60))
        assert (await watch.read()).status == NOT_SERVING
        refused = await client.ask(asking("hello"))
        # The service says UNAVAILABLE. The C core cancels what comes in while it closes.
        assert refused.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        assert refused.text == ""
        answer = await read(call)
        assert answer.text == "a" * 9
        assert answer.code is grpc.StatusCode.OK
        async with asyncio.timeout(10):
            await shutting_down
        assert server.open_calls == 0


@pytest.mark.parametrize("after", [0, 1])
async def test_what_is_left_after_the_grace_period_ends_with_unavailable(after: int) -> None:
    async with serving(settings()) as server, client_of(server.address) as client:
        call = client.call(asking(directives(text="a", count=after, hang_after=after)))
        reading = asyncio.create_task(read(call))
        await eventually(lambda: server.open_calls == 1)
        async with asyncio.timeout(10):
            await server.shut_down(grace=0.2)
        answer = await reading
        assert answer.text == "a" * after
        assert answer.code is grpc.StatusCode.UNAVAILABLE
        assert answer.details == SHUTTING_DOWN


async def test_calls_can_be_ended_before_the_grace_period_is_over() -> None:
    async with serving(settings()) as server, client_of(server.address) as client:
        call = await begun(client)
        shutting_down = asyncio.create_task(server.shut_down(grace=60))
        # Later than the begin of the shutdown, which a health check sees.
        watch = health(client).Watch(health_pb2.HealthCheckRequest())
        server.end_calls()
        async with asyncio.timeout(10):
            await shutting_down
        answer = await read(call)
        assert (answer.code, answer.details) == (grpc.StatusCode.UNAVAILABLE, SHUTTING_DOWN)
        watch.cancel()


async def test_a_call_that_comes_after_the_end_is_refused_with_the_reason() -> None:
    async with serving(settings()) as server, client_of(server.address) as client:
        server.end_calls()
        answer = await client.ask(asking("hello"))
        assert (answer.code, answer.details) == (grpc.StatusCode.UNAVAILABLE, SHUTTING_DOWN)


async def test_a_client_that_does_not_read_does_not_hold_the_server() -> None:
    async with serving(settings()) as server, client_of(server.address) as client:
        call = await begun(client, directives(text="x" * 100_000, count=10_000))
        async with asyncio.timeout(10):
            await server.shut_down(grace=0.2)
        assert server.open_calls == 0
        call.cancel()


async def test_a_health_check_that_watches_does_not_hold_the_server() -> None:
    async with serving(settings()) as server, client_of(server.address) as client:
        watch = health(client).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        async with asyncio.timeout(10):
            await server.shut_down(grace=60)
        assert (await watch.read()).status == NOT_SERVING


async def test_a_second_server_can_not_take_the_same_port() -> None:
    async with serving(settings()) as server:
        second = Settings(port=server.port, model="script")
        with pytest.raises(CannotListenError) as caught:
            async with serving(second):
                pass
    assert str(caught.value) == (
        f"The backend can't listen on 127.0.0.1:{server.port}: Address already in use. "
        "Set BACKEND_HOST (--host) and BACKEND_PORT (--port) to a free address."
    )


async def test_an_ipv6_address_is_written_in_brackets() -> None:
    async with serving(Settings(host="::1", port=0, model="script", shutdown_grace=0)) as server:
        assert server.address == f"[::1]:{server.port}"
        async with client_of(server.address) as client:
            assert (await client.ask(asking("hello"))).text == "hello"


async def test_a_default_model_that_nothing_answers_for_is_an_error() -> None:
    with pytest.raises(ConfigurationError) as caught:
        async with serving(Settings(port=0, model="gpt-2", script="off")):
            pass
    assert str(caught.value) == (
        "BACKEND_MODEL (--model): nothing answers for 'gpt-2'. The models are: none. "
        "The script model is off, as BACKEND_SCRIPT is off."
    )


async def test_a_server_leaves_nothing_behind() -> None:
    async def serve_a_little() -> None:
        async with serving(settings()) as server, client_of(server.address) as client:
            await client.ask(asking("hello"))
            await client.stub.ListModels(ListModelsRequest())
            watch = health(client).Watch(health_pb2.HealthCheckRequest())
            await watch.read()
            call = await begun(client)
            call.cancel()
            watch.cancel()

    def left() -> tuple[int, int]:
        return len(asyncio.all_tasks()), psutil.Process().num_fds()

    await serve_a_little()
    threads = threading.active_count()
    before = left()
    for _ in range(5):
        await serve_a_little()
    # gRPC closes its sockets on threads of its own.
    await eventually(lambda: left() <= before)
    assert threading.active_count() == threads


@asynccontextmanager
async def backend_process(
    grace: float,
) -> AsyncIterator[tuple[ServerProcess, Client]]:
    async with (
        server_process("backend", "--model", "script", "--shutdown-grace", str(grace)) as process,
        client_of(await process.address()) as client,
    ):
        yield process, client


async def test_a_process_says_where_it_listens_and_what_it_offers() -> None:
    async with backend_process(grace=0) as (process, _):
        (record,) = process.records
        assert record["event"] == "listening"
        assert record["models"] == ["script"]
        assert record["script"] == "on"
        assert record["script_reason"] == "127.0.0.1 is a loopback address"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_process_with_its_open_calls(number: signal.Signals) -> None:
    async with backend_process(grace=0.2) as (process, client):
        call = await begun(client)
        assert await process.stop(number) == 0
        answer = await read(call)
        assert (answer.code, answer.details) == (grpc.StatusCode.UNAVAILABLE, SHUTTING_DOWN)
        listening, stopping, ended = process.records
        assert listening["event"] == "listening"
        assert (stopping["event"], stopping["open_calls"]) == ("stopping", 1)
        assert (ended["code"], ended["error"]) == ("UNAVAILABLE", SHUTTING_DOWN)
        assert process.other_output == []


async def test_a_second_signal_ends_the_open_calls_at_once() -> None:
    async with backend_process(grace=60) as (process, client):
        call = await begun(client)
        watch = health(client).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        process.process.send_signal(signal.SIGTERM)
        assert (await watch.read()).status == NOT_SERVING
        assert await process.stop(signal.SIGTERM, seconds=10) == 0
        answer = await read(call)
        assert (answer.code, answer.details) == (grpc.StatusCode.UNAVAILABLE, SHUTTING_DOWN)
