"""Services of others, whose rules nobody wrote with this bridge in mind."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from functools import partial, reduce
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from openapi_spec_validator import OpenAPIV31SpecValidator

from bridge.settings import Settings
from bridge.transcoding import service_config
from bridge.transcoding.path_template import ONE, REST, PathTemplate
from bridge.transcoding.routes import Route, RouteError, of_methods
from bridge.transcoding.schema import Schema, build
from tests.conftest import http_client, on_each_transport, serving_bridge
from tests.transcoding.backend import serving

pytestmark = on_each_transport

IAM = "google.iam.v1.iam_policy_pb2"
CLARIFAI = "clarifai_grpc.grpc.api.service_pb2"

# Three of its methods have routes that others have, too.
RULES = {
    CLARIFAI: """
type: google.api.Service
http:
  rules:
  - selector: clarifai.api.V2.PatchRunners
    patch: /v2/users/{user_app_id.user_id}/runners
    body: "*"
  - selector: clarifai.api.V2.StreamLogEntries
    get: /v2/users/{user_app_id.user_id}/{log_type}/logs:stream
  - selector: clarifai.api.V2.ListPipelines
    get: /v2/users/{user_app_id.user_id}/pipelines
"""
}


def schema_of(module: str) -> Schema:
    """Return the schema of a module that protoc has made."""
    return build(files(import_module(module).DESCRIPTOR).values())


def files(file: FileDescriptor) -> dict[str, FileDescriptorProto]:
    found = FileDescriptorProto()
    file.CopyToProto(found)
    imported = chain.from_iterable(files(one).items() for one in file.dependencies)
    return dict(imported) | {file.name: found}


def routes_of(schema: Schema, rules: Path | None) -> list[Route]:
    methods = chain.from_iterable(schema.services.values())
    return list(of_methods(service_config.read(rules).apply(methods) if rules else methods))


def segments(template: PathTemplate) -> list[str]:
    """Return the segments of a path that a template matches."""
    filled = {ONE: ["one {}"], REST: ["rest {}", "and", "more"]}
    return [
        part.format(number)
        for number, segment in enumerate(template.segments)
        for part in filled.get(segment, [segment])
    ]


def request(route: Route) -> Any:
    """Return a request that has all of its texts, those of the path as in ``segments``."""
    message: Any = GetMessageClass(route.rpc.request)()
    for field in message.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            setattr(message, field.name, f"any {field.name}")
    found = segments(route.template)
    for variable in route.template.variables:
        *outer, last = variable.field_path
        inner = reduce(getattr, outer, message)
        setattr(inner, last, "/".join(found[variable.start : variable.stop]))
    return message


def asked(route: Route) -> httpx.Request:
    """Return the HTTP request that makes ``request`` of it."""
    verb = f":{route.template.verb}" if route.template.verb else ""
    url = f"/{'/'.join(map(quote, segments(route.template)))}{verb}"
    fields = MessageToDict(request(route))
    if route.body:
        assert route.body == "*"
        body = [fields] if route.rpc.client_streaming else fields
        return httpx.Request(route.http_method, f"http://bridge{url}", json=body)
    query = {name: value for name, value in fields.items() if isinstance(value, str)}
    return httpx.Request(route.http_method, f"http://bridge{url}", params=query)


def echo(name: str, streams: bool, answer: Any) -> Any:
    """Return a method that tells its name and its request, as metadata."""

    async def tell(requests: Any, context: Any) -> None:
        if isinstance(requests, Message):
            sent = requests
        else:
            (sent,) = [one async for one in requests]
        told = (("x-method", name), ("x-request-bin", sent.SerializeToString()))
        await context.send_initial_metadata(told)

    async def unary(requests: Any, context: Any) -> Any:
        await tell(requests, context)
        return answer()

    async def stream(requests: Any, context: Any) -> AsyncIterator[Any]:
        await tell(requests, context)
        yield answer()

    return stream if streams else unary


@pytest.fixture(params=[IAM, CLARIFAI])
def module(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def schema(module: str) -> Schema:
    return schema_of(module)


@pytest.fixture
def rules(module: str, tmp_path: Path) -> Path | None:
    if module not in RULES:
        return None
    path = tmp_path / "rules.yaml"
    path.write_text(RULES[module])
    return path


@pytest.fixture
async def http(
    schema: Schema, rules: Path | None, transport: str
) -> AsyncIterator[httpx.AsyncClient]:
    behaviour = {
        rpc.name: partial(echo, rpc.name, rpc.server_streaming)
        for rpc in chain.from_iterable(schema.services.values())
    }
    async with serving(schema, behaviour) as address:
        chosen = Settings(
            backend=address,
            services=list(schema.services),
            http_rules=rules,
            return_metadata=["x-method", "x-request-bin"],
            shutdown_grace=0,
        )
        async with serving_bridge(chosen) as running, http_client(running.url, timeout=20) as http:
            yield http


async def test_each_route_is_reached_with_all_that_a_request_has(
    http: httpx.AsyncClient, schema: Schema, rules: Path | None
) -> None:
    routes = routes_of(schema, rules)
    for route in routes:
        sent = asked(route)
        url = sent.url.raw_path.decode()
        response = await http.request(
            sent.method, url, content=sent.content, headers={"content-type": "application/json"}
        )
        assert (str(route), response.status_code) == (str(route), 200)
        assert response.headers["x-method"] == route.rpc.name
        told = b64decode(response.headers["x-request-bin"] + "==")
        assert (str(route), type(request(route)).FromString(told)) == (str(route), request(route))
    methods = chain.from_iterable(schema.services.values())
    assert {route.rpc.path for route in routes} == {rpc.path for rpc in methods}


@pytest.mark.on_default_transport
async def test_all_of_their_routes_are_described(
    http: httpx.AsyncClient, schema: Schema, rules: Path | None
) -> None:
    document = (await http.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    described = [
        operation["tags"][0]
        for item in document["paths"].values()
        for operation in item.values()
        if operation.get("tags", [""])[0] in schema.services
    ]
    assert len(described) == len(routes_of(schema, rules))


@pytest.mark.on_default_transport
def test_routes_that_two_methods_have_are_told_with_both() -> None:
    with pytest.raises(RouteError) as caught:
        routes_of(schema_of(CLARIFAI), None)
    told = [(problem.split(": ")[0], problem.split()[-1]) for problem in caught.value.problems]
    assert [tuple(name.removeprefix("clarifai.api.V2.") for name in pair) for pair in told] == [
        ("PatchRunners", "PostRunners"),
        ("StreamLogEntries", "ListLogEntries"),
        ("StreamLogEntries", "ListLogEntries"),
        ("ListPipelines", "PostPipelines"),
    ]
