"""Whatever a backend tells of its schema, the bridge serves, and reads the next that is right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc import aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection_pb2 import (
    FileDescriptorResponse,
    ListServiceResponse,
    ServerReflectionRequest,
    ServerReflectionResponse,
    ServiceResponse,
)

from bridge.app import open_backends, open_catalog
from bridge.settings import Settings
from bridge.status import Status
from bridge.upstream import RpcError
from bridge.upstream.reflection import reflect
from tests.conftest import http_client, on_each_transport, serving_bridge

pytestmark = on_each_transport

Answers = Iterable[ServerReflectionResponse]
# What a backend answers to a question.
Answer = Callable[[ServerReflectionRequest], Answers]


def told(*files: bytes) -> ServerReflectionResponse:
    descriptors = FileDescriptorResponse(file_descriptor_proto=files)
    return ServerReflectionResponse(file_descriptor_response=descriptors)


def listed(*names: str) -> ServerReflectionResponse:
    services = ListServiceResponse(service=[ServiceResponse(name=name) for name in names])
    return ServerReflectionResponse(list_services_response=services)


def file(name: str, *imports: str, padding: int = 0) -> bytes:
    made = FileDescriptorProto(name=name, package="p", syntax="proto3", dependency=imports)
    made.source_code_info.location.add(leading_comments="a" * padding)
    if name == "s.proto":
        made.message_type.add(name="M")
        made.service.add(name="S").method.add(name="Do", input_type=".p.M", output_type=".p.M")
    return made.SerializeToString()


def files(answer: Callable[[str], bytes]) -> Answer:
    """Return what answers with a file of a name, ``s.proto`` if it is asked for the service."""

    def answers(request: ServerReflectionRequest) -> Answers:
        if request.list_services:
            yield listed("p.S")
        else:
            yield told(answer(request.file_by_filename or "s.proto"))

    return answers


def endless(request: ServerReflectionRequest) -> Answers:
    while True:
        yield listed("p.S")


def twice(request: ServerReflectionRequest) -> Answers:
    yield from [listed("p.S")] * 2


def shadowing(name: str) -> bytes:
    made = FileDescriptorProto.FromString(file(name))
    # The rule {get: "/healthz"} of google.api.http.
    rule = b"\x12\x08/healthz"
    option = b"\x82\xd3\xe4\x93\x02" + bytes([len(rule)]) + rule
    made.service[0].method[0].options.MergeFromString(option)
    return made.SerializeToString()


numbers = count()
MORE = "the backend answers more than it was asked"
NOT_UTF_8 = "a descriptor that the backend sent has the name of a file that isn't UTF-8"
HOSTILE: dict[str, tuple[Answer, str]] = {
    "endless answers": (endless, MORE),
    "an answer too many": (twice, MORE),
    "a file that imports itself": (
        files(lambda name: file(name, name)),
        "files import each other: s.proto imports s.proto",
    ),
    "files that import each other": (
        files(lambda name: file(name, "s.proto" if name == "a.proto" else "a.proto")),
        "files import each other: ",
    ),
    "imports without an end": (
        files(lambda name: file(name, f"{next(numbers)}.proto", padding=1 << 20)),
        "the backend's schema is larger than 64 MiB",
    ),
    "files of other names than were asked for": (
        files(lambda name: file(name if name == "s.proto" else "other.proto", "a.proto")),
        "s.proto imports a.proto, which is missing",
    ),
    "what is no descriptor": (
        files(lambda name: b"\xff\xff"),
        "a descriptor that the backend sent can't be read",
    ),
    "a descriptor of nothing": (
        files(lambda name: b""),
        "the backend can't describe the service p.S",
    ),
    "a name that isn't UTF-8": (files(lambda name: b"\n\x01\xff"), NOT_UTF_8),
    "an import that isn't UTF-8": (files(lambda name: b"\n\x01a\x1a\x01\xff"), NOT_UTF_8),
    "an enormous answer": (
        files(lambda name: file(name, padding=5 << 20)),
        "52429",
    ),
    "a route of the bridge's own": (
        files(shadowing),
        "p.S/Do: GET /healthz is a path of the bridge's own",
    ),
}


class Reflection(reflection_pb2_grpc.ServerReflectionServicer):  # type: ignore[misc]
    """Reflects what it is given last."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    async def ServerReflectionInfo(  # noqa: N802 - the name of the RPC
        self, requests: AsyncIterator[ServerReflectionRequest], context: Any
    ) -> AsyncIterator[ServerReflectionResponse]:
        async for request in requests:
            for response in self.answer(request):
                yield response


@asynccontextmanager
async def reflecting(servicer: Reflection) -> AsyncIterator[str]:
    server = aio.server()
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


def settings(address: str) -> Settings:
    return Settings(backend=address, services=["p.S"], shutdown_grace=0, backend_refresh=0.1)


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_schema_that_can_t_be_used_is_told_and_one_that_can_is_read_later(
    name: str,
) -> None:
    answer, reason = HOSTILE[name]
    servicer = Reflection(answer)
    async with reflecting(servicer) as address:
        chosen = settings(address)
        catalog = open_catalog(chosen)
        async with open_backends(chosen) as backends:
            await catalog.read(backends)
            assert catalog.exposed is None
            assert reason in catalog.obstacle.reason
            servicer.answer = files(file)
            await catalog.read(backends)
            assert catalog.exposed is not None


@pytest.mark.logs_errors
@pytest.mark.parametrize("name", HOSTILE)
async def test_a_bridge_serves_with_whatever_schema(name: str) -> None:
    answer, _ = HOSTILE[name]
    servicer = Reflection(answer)
    async with (
        reflecting(servicer) as address,
        serving_bridge(settings(address)) as running,
        http_client(running.url) as http,
    ):
        assert (await http.get("/healthz")).json() == {"status": "alive"}
        refused = await http.post("/p.S/Do", json={})
        assert refused.status_code == 503
        assert refused.json()["error"].startswith("The backends' schema ")
        servicer.answer = files(file)
        async with asyncio.timeout(10):
            while (await http.post("/p.S/Do", json={})).status_code != 501:
                await asyncio.sleep(0.01)


async def test_imports_that_are_missing_are_asked_for_once() -> None:
    asked = []

    def answers(request: ServerReflectionRequest) -> Answers:
        asked.append(request.file_by_filename)
        imports = {"": ["a.proto", "b.proto"], "b.proto": ["c.proto"]}
        if request.list_services:
            yield listed("p.S")
        elif request.file_by_filename in imports:
            found = imports[request.file_by_filename]
            yield told(file(request.file_by_filename or "s.proto", *found))
        else:
            yield ServerReflectionResponse(original_request=request)

    async with (
        reflecting(Reflection(answers)) as address,
        open_backends(settings(address)) as backends,
    ):
        link = backends.place()
        found = await reflect(link.channel, link.metadata, lambda there: there)
    assert {one.name for one in found.files} == {"s.proto", "b.proto"}
    assert sorted(asked) == ["", "", "a.proto", "b.proto", "c.proto"]


async def test_a_backend_that_never_answers_is_left_at_the_deadline() -> None:
    class Silent(Reflection):
        async def ServerReflectionInfo(  # noqa: N802 - the name of the RPC
            self, requests: AsyncIterator[ServerReflectionRequest], context: Any
        ) -> AsyncIterator[ServerReflectionResponse]:
            await asyncio.Event().wait()
            yield ServerReflectionResponse()

    async with (
        reflecting(Silent(endless)) as address,
        open_backends(settings(address)) as backends,
    ):
        link = backends.place()
        with pytest.raises(RpcError) as caught:
            await reflect(link.channel, link.metadata, lambda there: there, deadline=0.2)
    assert caught.value.status is Status.DEADLINE_EXCEEDED
    assert caught.value.cause == "the backend hasn't told its schema within 0.2 seconds"
