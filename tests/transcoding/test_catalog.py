"""What is exposed follows what the backends have."""

from __future__ import annotations

import asyncio
import gc
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc import aio
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

import backend.server
from bridge.app import create_app, open_backends, open_catalog
from bridge.settings import Settings
from bridge.transcoding.exposure_error import ExposureError
from bridge.transcoding.request import to_message
from bridge.transcoding.schema import Schema
from tests.conftest import free_port, http_client, on_each_transport, serving_bridge
from tests.transcoding.backend import Behaviour, schema_of, serving
from tests.transcoding.conftest import Compile

BEFORE = """
package stock.v1;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
service Stock {
  rpc Count(CountRequest) returns (Counted) {
    option (google.api.http) = {get: "/v1/count/{article}"};
  }
}
service Hidden { rpc Count(CountRequest) returns (Counted); }
message CountRequest { string article = 1; }
message Counted { string article = 1; int32 number = 2; google.protobuf.Timestamp at = 3; }
"""
AFTER = (
    BEFORE.replace("/v1/count/", "/v2/count/")
    .replace("int32 number = 2", "int32 amount = 2")
    .replace("service Hidden", "service Other")
)


def count(answer: Any) -> Any:
    async def count(request: Any, context: Any) -> Any:
        return answer(article=request.article, **{answer.DESCRIPTOR.fields[1].name: 3})

    return count


BEHAVIOUR: Behaviour = {"Count": count}


@pytest.fixture(scope="session")
def before(compile_protos: Compile) -> Path:
    return compile_protos(stock=BEFORE)


@pytest.fixture(scope="session")
def after(compile_protos: Compile) -> Path:
    return compile_protos(stock=AFTER)


def settings(port: int, **given: Any) -> Settings:
    return Settings(**{"backend": f"127.0.0.1:{port}", "shutdown_grace": 0, **given})


async def status(http: httpx.AsyncClient, path: str, wanted: int) -> httpx.Response:
    """Ask until the answer has the status."""
    async with asyncio.timeout(10):
        while (response := await http.get(path)).status_code != wanted:
            await asyncio.sleep(0.01)
    return response


@on_each_transport
async def test_a_backend_with_reflection_needs_no_more(before: Path) -> None:
    async with (
        serving(schema_of(before), BEHAVIOUR) as address,
        serving_bridge(settings(0, backend=address, services=["*"])) as running,
        http_client(running.url) as http,
    ):
        assert (await http.get("/v1/count/a")).json() == {"article": "a", "number": 3}
        hidden = await http.post("/stock.v1.Hidden/Count", json={"article": "b"})
        assert hidden.json() == {"article": "b", "number": 3}
        assert (await http.get("/readyz")).status_code == 200


@on_each_transport
async def test_health_and_reflection_are_services_as_all_others(
    backend_server: backend.server.Server,
) -> None:
    chosen = settings(0, backend=backend_server.address, services=["*"])
    async with serving_bridge(chosen) as running, http_client(running.url) as http:
        health = await http.post("/grpc.health.v1.Health/Check", json={})
        assert health.json() == {"status": "SERVING"}
        async with http.stream("POST", "/grpc.health.v1.Health/Watch", json={}) as watched:
            assert await anext(watched.aiter_lines()) == 'data: {"status":"SERVING"}'
        listed = await http.post(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            json=[{"listServices": ""}, {"fileContainingSymbol": "grpc.health.v1.Health"}],
            headers={"accept": "application/x-ndjson"},
        )
        services, files = map(json.loads, listed.text.splitlines())
        names = [service["name"] for service in services["listServicesResponse"]["service"]]
        assert "grpc.health.v1.Health" in names
        assert files["fileDescriptorResponse"]["fileDescriptorProto"]


@on_each_transport
async def test_only_services_that_are_named_are_exposed(before: Path) -> None:
    async with (
        serving(schema_of(before), BEHAVIOUR) as address,
        serving_bridge(settings(0, backend=address, services=["stock.v1.Stock"])) as running,
        http_client(running.url) as http,
    ):
        assert (await http.get("/v1/count/a")).status_code == 200
        assert (await http.post("/stock.v1.Hidden/Count", json={})).status_code == 404


@on_each_transport
async def test_no_service_is_exposed_unless_one_is_named(before: Path) -> None:
    async with (
        serving(schema_of(before), BEHAVIOUR) as address,
        serving_bridge(settings(0, backend=address)) as running,
        http_client(running.url) as http,
    ):
        assert (await http.post("/stock.v1.Stock/Count", json={})).status_code == 404


@on_each_transport
async def test_the_description_says_why_it_has_no_services_yet(before: Path) -> None:
    port = free_port()
    async with (
        serving_bridge(settings(port, services=["*"])) as running,
        http_client(running.url) as http,
    ):
        unread = (await http.get("/openapi.json")).json()
        assert unread["x-unavailable"] == (await http.get("/v1/count/a")).json()["error"]
        assert "tags" not in unread
        async with serving(schema_of(before), BEHAVIOUR, port=port):
            await status(http, "/v1/count/a", 200)
            read = (await http.get("/openapi.json")).json()
            assert "x-unavailable" not in read
            assert "stock.v1.Stock" in [tag["name"] for tag in read["tags"]]


@on_each_transport
async def test_a_backend_that_comes_back_changed_is_read_anew(before: Path, after: Path) -> None:
    port = free_port()
    async with (
        serving_bridge(settings(port, services=["stock.v1.Stock"])) as running,
        http_client(running.url) as http,
    ):
        unread = await http.get("/v1/count/a")
        assert unread.status_code == 503
        assert (await http.post("/v1/models")).status_code == 405
        async with serving(schema_of(before), BEHAVIOUR, port=port):
            response = await status(http, "/v1/count/a", 200)
            assert response.json() == {"article": "a", "number": 3}
        async with serving(schema_of(after), BEHAVIOUR, port=port):
            response = await status(http, "/v2/count/a", 200)
            assert response.json() == {"article": "a", "amount": 3}
            assert (await http.get("/v1/count/a")).status_code == 404


@on_each_transport
@pytest.mark.logs_errors
async def test_a_backend_without_reflection_is_said_to_need_descriptors(
    before: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        serving(schema_of(before), BEHAVIOUR, reflect=False) as address,
        serving_bridge(settings(0, backend=address, services=["*"])) as running,
        http_client(running.url) as http,
    ):
        response = await http.get("/v1/count/a")
        assert response.status_code == 503
        assert response.json()["error"] == "The backends' schema can't be read."
    async with (
        serving(schema_of(before), BEHAVIOUR, reflect=False) as address,
        serving_bridge(
            settings(0, backend=address, services=["*"], descriptors=[before])
        ) as running,
        http_client(running.url) as http,
    ):
        assert (await http.get("/v1/count/a")).status_code == 200


def refused(transport: str, **given: Any) -> str:
    with pytest.raises(ExposureError) as raised:
        create_app(Settings(**given))
    return str(raised.value)


@on_each_transport
def test_a_service_that_is_not_there_is_refused_with_one_that_is(
    before: Path, transport: str
) -> None:
    told = refused(transport, descriptors=[before], services=["stock.v1.Hiden"])
    assert told == (
        "there is no service stock.v1.Hiden: did you mean stock.v1.Hidden or stock.v1.Stock?"
    )
    told = refused(transport, descriptors=[before], services=["x"])
    assert told == "there is no service x: there is stock.v1.Stock, stock.v1.Hidden"


@on_each_transport
@pytest.mark.parametrize(
    "path",
    [
        *("/healthz", "/v1/models", "/openai/v1/models", "/docs", "/explorer"),
        *("/health%7A", "/{article=healthz}", "/v1/{article=models}"),
    ],
)
def test_a_route_that_shadows_one_of_the_bridge_is_refused(
    compile_protos: Compile, transport: str, path: str
) -> None:
    shadow = BEFORE.replace("/v1/count/{article}", path)
    told = refused(transport, descriptors=[compile_protos(stock=shadow)], services=["*"])
    assert told == f"stock.v1.Stock/Count: GET {path} is a path of the bridge's own"


@on_each_transport
def test_a_route_that_only_matches_one_of_the_bridge_comes_after_it(
    compile_protos: Compile, transport: str
) -> None:
    wide = compile_protos(stock=BEFORE.replace("/v1/count/{article}", "/{article=**}"))
    create_app(Settings(descriptors=[wide], services=["*"]))


@on_each_transport
async def test_no_request_sees_a_mixture_while_the_schema_changes(
    before: Path, after: Path
) -> None:
    port, seen = free_port(), set[str]()
    schemas = [schema_of(before), schema_of(after)]

    async def keep_asking(http: httpx.AsyncClient) -> None:
        while True:
            for path, name in (("/v1/count/a", "number"), ("/v2/count/a", "amount")):
                response = await http.get(path)
                if response.status_code == 200:
                    assert response.json() == {"article": "a", name: 3}
                    seen.add(name)

    async with (
        serving_bridge(settings(port, services=["stock.v1.Stock"])) as running,
        http_client(running.url) as http,
        asyncio.TaskGroup() as group,
    ):
        asking = [group.create_task(keep_asking(http)) for _ in range(4)]
        for number in range(6):
            async with serving(schemas[number % 2], BEHAVIOUR, port=port):
                await status(http, f"/v{number % 2 + 1}/count/a", 200)
        for task in asking:
            task.cancel()
    assert seen == {"number", "amount"}


class Changing(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    """Reflects whatever schema it is given last."""

    def change(self, schema: Schema) -> None:
        super().__init__(list(schema.services), pool=schema.pool)


def pools() -> int:
    gc.collect()
    return sum(isinstance(found, DescriptorPool) for found in gc.get_objects())


@on_each_transport
async def test_a_schema_that_is_left_goes_from_memory(before: Path, after: Path) -> None:
    schemas = [schema_of(before), schema_of(after)]
    changing = Changing([])
    server = aio.server()
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(changing, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    chosen = settings(port, services=["stock.v1.Stock"])
    catalog, counted = open_catalog(chosen), []
    async with open_backends(chosen) as backends:
        for number in range(100):
            changing.change(schemas[number % 2])
            await catalog.read(backends)
            exposed = catalog.exposed
            assert exposed is not None
            found = exposed.table.match("GET", f"/v{number % 2 + 1}/count/a")
            assert found is not None
            message = to_message(found.route, exposed.reader, found.values, "", {})
            exposed.writer.write(message)
            del exposed, found, message
            if number in {9, 99}:
                counted.append(pools())
    await server.stop(0)
    assert counted[0] == counted[1]


@on_each_transport
async def test_a_service_configuration_gives_rules_to_protos_that_have_others(
    before: Path, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "type: google.api.Service\n"
        "http: {rules: [{selector: stock.v1.Stock.Count, get: '/there/{article}'}]}\n"
    )
    async with (
        serving(schema_of(before), BEHAVIOUR) as address,
        serving_bridge(settings(0, backend=address, services=["*"], http_rules=rules)) as running,
        http_client(running.url) as http,
    ):
        assert (await http.get("/there/a")).json() == {"article": "a", "number": 3}
        assert (await http.get("/v1/count/a")).status_code == 404


@on_each_transport
def test_a_rule_for_a_method_that_is_not_there_is_refused(
    before: Path, tmp_path: Path, transport: str
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "type: google.api.Service\nhttp: {rules: [{selector: stock.v1.Stock.Cont, get: /there}]}\n"
    )
    told = refused(transport, descriptors=[before], services=["*"], http_rules=rules)
    assert told == (
        f"{rules}: stock.v1.Stock.Cont: there is no such method: "
        "did you mean stock.v1.Stock.Count or stock.v1.Hidden.Count?"
    )
