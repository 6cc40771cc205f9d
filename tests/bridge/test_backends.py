"""Several backends: where calls are placed, and what becomes of them when one goes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

import backend.server
import backend.settings
from bridge.app import open_backends
from bridge.settings import Settings
from bridge.status import Status
from bridge.upstream import Backends, Call, RpcError
from bridge.upstream.address import Endpoint, HostAddress, parse
from bridge.upstream.call import CallObserver, Channel, ChannelOptions, Connect
from bridge.upstream.completion import STREAM_COMPLETION, WATCH_HEALTH
from bridge.upstream.credentials import CredentialFiles, Tls
from bridge.upstream.transport import transport
from protos.completion.v1.completion_pb2 import StreamCompletionRequest, StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend, serving_stepped
from tests.conftest import (
    DONE,
    ask,
    eventually,
    http_client,
    on_each_transport,
    script,
    serving_bridge,
)
from tests.processes import server_process

pytestmark = on_each_transport

PATH = "/v1/chat/completions"


class Name:
    """A name whose addresses the test decides."""

    def __init__(self, *targets: str) -> None:
        self.targets: tuple[str, ...] = targets
        self.broken = False

    def __str__(self) -> str:
        return "backend.internal:50051"

    async def resolve(self) -> list[Endpoint]:
        if self.broken:
            raise ZeroDivisionError
        if not self.targets:
            raise OSError("the resolver is away")
        return [Endpoint(target, target) for target in self.targets]


def behind(name: Name, refresh: float = 0.02, connect: Connect | None = None) -> Backends:
    settings = Settings()
    made_by, options = connect or transport(settings.transport), settings.channel_options
    return Backends([name], CredentialFiles(), options, connect=made_by, refresh=refresh)


def start(backends: Backends) -> Call[StreamCompletionResponse]:
    return backends.stream(STREAM_COMPLETION, (StreamCompletionRequest(),), deadline=20)


@asynccontextmanager
async def stepped_backends(count: int) -> AsyncIterator[list[SteppedBackend]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serving_stepped()) for _ in range(count)]


def addresses_of(backends: list[SteppedBackend]) -> str:
    return ",".join(stepped.address for stepped in backends)


def calls(stepped: SteppedBackend) -> int:
    return stepped.asked_for.count(STREAM_COMPLETION.path)


async def test_open_calls_are_spread_evenly() -> None:
    async with (
        stepped_backends(3) as three,
        open_backends(Settings(backend=addresses_of(three))) as backends,
    ):
        await backends.answers(of_all=True)
        started = [start(backends) for _ in range(30)]
        assert [sum(call.backend == s.address for call in started) for s in three] == [10, 10, 10]
        await eventually(lambda: [calls(stepped) for stepped in three] == [10, 10, 10])


async def test_a_call_goes_where_the_fewest_are_open() -> None:
    async with (
        stepped_backends(2) as two,
        open_backends(Settings(backend=addresses_of(two))) as backends,
    ):
        await backends.answers(of_all=True)
        first, second = start(backends), start(backends)
        assert first.backend != second.backend
        # By turns alone, the first would be the next.
        second.cancel()
        await eventually(lambda: sum(link.open_calls for link in backends.links) == 1)
        assert start(backends).backend == second.backend


async def test_one_after_the_other_they_take_turns() -> None:
    async with stepped_backends(3) as three:
        for stepped in three:
            for _ in range(2):
                await stepped.end()
        async with (
            serving_bridge(Settings(backend=addresses_of(three))) as running,
            http_client(running.url) as http,
        ):
            await eventually(lambda: all(stepped.asked_for for stepped in three))
            for _ in range(6):
                assert (await http.post(PATH, json=ask("hello"))).content == DONE
        assert sorted(calls(stepped) for stepped in three) == [2, 2, 2]


async def test_a_backend_that_refuses_all_does_not_get_all() -> None:
    async with (
        stepped_backends(2) as (broken, good),
        serving_bridge(Settings(backend=addresses_of([broken, good]), retries=0)) as running,
        http_client(running.url) as http,
    ):
        for _ in range(10):
            await broken.end(grpc.StatusCode.UNAVAILABLE, "overloaded")
            await good.end()
        answers = [(await http.post(PATH, json=ask("hello"))).content for _ in range(10)]
        assert answers.count(DONE) >= 8


async def test_what_one_refuses_is_tried_at_the_other() -> None:
    async with (
        stepped_backends(2) as (broken, good),
        serving_bridge(Settings(backend=addresses_of([broken, good]))) as running,
        http_client(running.url) as http,
    ):
        for _ in range(2):
            await broken.end(grpc.StatusCode.UNAVAILABLE, "overloaded")
            await good.end()
        for number in range(2):
            headers = {"x-request-id": str(number)}
            assert (await http.post(PATH, json=ask("hello"), headers=headers)).content == DONE
        records = [await running.record("0"), await running.record("1")]
    assert [record.backend for record in records] == [good.address] * 2
    assert 1 in [record.retries for record in records]


async def test_a_killed_backend_takes_its_own_streams_only_and_gets_new_ones_when_it_is_back() -> (
    None
):
    content = script(chunks=["a", "b"], hang_after=1)
    env = {"BACKEND_MODEL": "script"}
    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(server_process("backend", env=env)) for _ in range(3)
        ]
        addresses = [await process.address() for process in processes]
        running = await stack.enter_async_context(
            serving_bridge(Settings(backend=",".join(addresses), shutdown_grace=0))
        )
        http = await stack.enter_async_context(http_client(running.url, timeout=20))

        reading: list[AsyncIterator[bytes]] = []

        async def begin(request_id: str) -> None:
            response = await stack.enter_async_context(
                http.stream("POST", PATH, json=ask(content), headers={"x-request-id": request_id})
            )
            reading.append(response.aiter_raw())
            assert await anext(reading[-1]) == b'data: {"content":"a"}\n\n'

        for number in range(12):
            await begin(str(number))
        assert len(running.streams) == 12
        processes[0].process.kill()
        await eventually(lambda: len(running.records) == 4)
        assert {(r.backend, r.code) for r in running.records} == {(addresses[0], "UNAVAILABLE")}
        for number in range(4):
            await begin(f"new-{number}")
        assert len(running.streams) == 12
        port = addresses[0].rpartition(":")[2]
        again = await stack.enter_async_context(server_process("backend", "--port", port, env=env))
        await again.address()
        answered: list[str] = []
        async with asyncio.timeout(10):
            while addresses[0] not in answered:
                request_id = f"after-{len(answered)}"
                await http.post(PATH, json=ask("hello"), headers={"x-request-id": request_id})
                answered.append((await running.record(request_id)).backend)


async def test_a_draining_backend_gets_no_new_calls_and_finishes_the_old() -> None:
    def settings() -> backend.settings.Settings:
        return backend.settings.Settings(port=0, model="script")

    async with (
        backend.server.serving(settings()) as one,
        backend.server.serving(settings()) as other,
        serving_bridge(Settings(backend=f"{one.address},{other.address}")) as running,
        http_client(running.url, timeout=20) as http,
    ):
        content = script(chunks=["a"] * 20, interval_ms=50)
        asking = [
            asyncio.create_task(http.post(PATH, json=ask(content), headers={"x-request-id": name}))
            for name in ("first", "second")
        ]
        await eventually(lambda: one.open_calls == other.open_calls == 1)
        stopping = asyncio.create_task(one.shut_down(20))
        for number in range(6):
            headers = {"x-request-id": str(number)}
            answer = await http.post(PATH, json=ask("hello"), headers=headers)
            # The first may cross the GOAWAY, and the core's server loses such calls at times.
            assert number == 0 or b"error" not in answer.content
            assert answer.content.endswith(DONE)
        for task in asking:
            assert (await task).content.count(b'"content":"a"') == 20
        await stopping
        records = {record.request_id: record for record in running.records}
        assert records["first"].outcome == records["second"].outcome == "finished"
        assert {records[str(number)].backend for number in range(1, 6)} == {other.address}


async def test_a_backend_that_has_gone_from_its_name_finishes_what_it_has() -> None:
    async with stepped_backends(2) as (old, new):
        name = Name(old.address)
        async with behind(name) as backends:
            call = start(backends)
            name.targets = (new.address,)
            await eventually(lambda: [k.endpoint.target for k in backends.links] == [new.address])
            assert start(backends).backend == new.address
            await old.send(StreamCompletionResponse(text="a"))
            await old.end()
            assert [message.text async for messages in call for message in messages] == ["a"]


async def test_a_lost_backend_makes_its_name_be_resolved_again() -> None:
    async with serving_stepped() as new, AsyncExitStack() as stack:
        async with serving_stepped() as old:
            name = Name(old.address)
            backends = await stack.enter_async_context(behind(name, refresh=3600))
            name.targets = (new.address,)
        await eventually(lambda: [k.endpoint.target for k in backends.links] == [new.address])


async def test_a_name_that_can_t_be_resolved_keeps_what_was_found() -> None:
    async with serving_stepped() as stepped:
        name = Name(stepped.address)
        async with behind(name) as backends:
            name.targets = ()
            await eventually(lambda: bool(backends._unresolved))  # noqa: SLF001 - nothing else shows
            assert start(backends).backend == stepped.address


@pytest.mark.logs_errors
async def test_an_exception_of_ours_does_not_end_the_looking() -> None:
    async with stepped_backends(2) as (old, new):
        name = Name(old.address)
        async with behind(name) as backends:
            name.broken = True
            refreshed = backends.refreshed
            await eventually(lambda: backends.refreshed > refreshed + 1)
            name.broken, name.targets = False, (new.address,)
            await eventually(lambda: [k.endpoint.target for k in backends.links] == [new.address])


@pytest.mark.logs_errors
async def test_one_channel_that_can_t_be_made_leaves_all_as_they_were() -> None:
    make = transport(Settings().transport)

    def connect(
        endpoint: Endpoint, options: ChannelOptions, tls: Tls | None, observer: CallObserver
    ) -> Channel:
        if endpoint.target == "broken":
            raise ZeroDivisionError
        return make(endpoint, options, tls, observer)

    async with stepped_backends(2) as (old, new):
        name = Name(old.address)
        async with behind(name, connect=connect) as backends:
            before, refreshed = backends.links, backends.refreshed
            name.targets = (new.address, "broken")
            await eventually(lambda: backends.refreshed > refreshed + 1)
            assert backends.links == before
            assert start(backends).backend == old.address
        assert new.asked_for == []


async def test_a_name_that_is_found_late_is_used_then() -> None:
    async with serving_stepped() as stepped:
        name = Name()
        async with behind(name, refresh=3600) as backends:
            with pytest.raises(RpcError) as caught:
                start(backends)
            assert caught.value.status is Status.UNAVAILABLE
            assert caught.value.cause == (
                "No backend is found: backend.internal:50051: the resolver is away"
            )
            assert backends.obstacle() is not None
            name.targets = (stepped.address,)
            await eventually(lambda: backends.obstacle() is None)
            assert start(backends).backend == stepped.address


async def test_a_name_without_backends_is_told_in_the_stream_and_by_readyz() -> None:
    async with (
        serving_bridge(Settings(backend="nowhere.invalid:1")) as running,
        http_client(running.url, timeout=20) as http,
    ):
        answer = await http.post(PATH, json=ask("hello"), headers={"x-request-id": "lost"})
        assert answer.content == (
            b'data: {"error":"The backend is not available.","code":"UNAVAILABLE",'
            b'"retryable":true}\n\n' + DONE
        )
        assert (await http.get("/readyz")).status_code == 503
        record = await running.record("lost")
    assert "nowhere.invalid:1" in record.error
    assert record.backend == ""
    assert record.retries == 2


async def test_a_backend_that_says_not_serving_is_tried_when_there_is_no_other(
    stepped: SteppedBackend,
) -> None:
    stepped.health = grpc.StatusCode.NOT_FOUND
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url) as http,
    ):
        assert (await http.get("/readyz")).status_code == 503
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE


async def test_a_backend_that_breaks_off_each_watch_is_not_asked_without_a_pause(
    stepped: SteppedBackend,
) -> None:
    stepped.watched, stepped.health = True, HealthCheckResponse.SERVING
    stepped.breaks_off_the_watch = True
    begun = time.monotonic()
    async with open_backends(Settings(backend=stepped.address)):
        await eventually(lambda: stepped.asked_for.count(WATCH_HEALTH.path) >= 6, seconds=20)
    # The sixth attempt is five pauses of 0.2 s after the first.
    assert time.monotonic() - begun > 0.9


async def test_a_unix_socket_is_an_address(tmp_path_factory: pytest.TempPathFactory) -> None:
    address = f"unix:{tmp_path_factory.mktemp('s')}/b.sock"
    assert str(parse(address)) == address
    async with (
        serving_stepped(address) as stepped,
        serving_bridge(Settings(backend=address)) as running,
        http_client(running.url) as http,
    ):
        await stepped.end()
        answer = await http.post(PATH, json=ask("hello"), headers={"x-request-id": "r"})
        assert answer.content == DONE
        assert (await running.record("r")).backend == address


async def test_the_addresses_of_localhost_are_its_backends(stepped: SteppedBackend) -> None:
    port = int(stepped.address.rpartition(":")[2])
    assert await HostAddress("localhost", port).resolve()
    async with (
        serving_bridge(Settings(backend=f"localhost:{port}")) as running,
        http_client(running.url) as http,
    ):
        for _ in range(4):
            await stepped.end()
        answers = [(await http.post(PATH, json=ask("hello"))).content for _ in range(4)]
    assert answers == [DONE] * 4


async def test_more_streams_than_a_connection_may_have_are_all_served() -> None:
    async with (
        serving_stepped(options=[("grpc.max_concurrent_streams", 3)]) as stepped,
        serving_bridge(Settings(backend=stepped.address, retries=0)) as running,
        http_client(running.url, timeout=30) as http,
    ):
        asking = [asyncio.create_task(http.post(PATH, json=ask("hello"))) for _ in range(12)]
        await eventually(lambda: len(running.streams) == 12)
        for _ in asking:
            await stepped.end()
        assert [(await task).content for task in asking] == [DONE] * 12


async def test_a_server_that_closes_old_connections_costs_no_stream() -> None:
    options = [("grpc.max_connection_age_ms", 100), ("grpc.max_connection_age_grace_ms", 60_000)]
    async with (
        serving_stepped(options=options) as stepped,
        serving_bridge(Settings(backend=stepped.address, retries=0)) as running,
        http_client(running.url, timeout=30) as http,
    ):
        async with asyncio.timeout(20):
            while len(stepped.connections) < 5:
                await stepped.end()
                assert (await http.post(PATH, json=ask("hello"))).content == DONE
