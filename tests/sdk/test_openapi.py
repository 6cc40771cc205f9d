"""Whether requests and answers fit the OpenAPI that vendors publish, and the bridge's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from bridge.settings import Settings
from bridge.upstream.transport import Transport
from tests.conftest import RunningBridge, free_port, http_client, script, serving_bridge
from tests.sdk.answers import REFUSED, SCENARIOS, WIRES, Answered, Kind, Wire
from tests.sdk.asked import QUESTION, Asked, ask_with_all
from tests.sdk.openapi import Schemas, named, published

pytestmark = pytest.mark.on_default_transport

# By wire, who publishes it, and the names of a request and of what answers it. The AI SDK has none,
# and Ollama's is in no package.
PUBLISHED: Mapping[str, tuple[str, str, Mapping[Kind, str]]] = {
    "openai chat": (
        "openai",
        "CreateChatCompletionRequest",
        {
            Kind.EVENT: "CreateChatCompletionStreamResponse",
            Kind.WHOLE: "CreateChatCompletionResponse",
            Kind.ERROR: "ErrorResponse",
        },
    ),
    "openai responses": (
        "openai",
        "CreateResponse",
        {
            Kind.EVENT: "ResponseStreamEvent",
            Kind.WHOLE: "Response",
            Kind.ERROR: "ErrorResponse",
        },
    ),
    "anthropic": (
        "anthropic",
        "CreateMessageParams",
        {
            Kind.EVENT: "MessageStreamEvent",
            Kind.WHOLE: "Message",
            Kind.ERROR: "ErrorResponse",
        },
    ),
}


@pytest.fixture(scope="session")
async def asked(patient_bridge: RunningBridge) -> list[Asked]:
    """Return the requests of real SDKs, with the same question on all wires."""
    return await ask_with_all(patient_bridge.url)


@pytest.fixture(scope="session")
async def document(patient_bridge: RunningBridge) -> dict[str, Any]:
    async with http_client(patient_bridge.url) as http:
        found = (await http.get("/openapi.json")).json()
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="session")
def own(document: dict[str, Any]) -> Schemas:
    return Schemas(document)


def request_pointer(path: str) -> str:
    escaped = path.replace("/", "~1")
    return f"/paths/{escaped}/post/requestBody/content/application~1json/schema"


PATHS = {wire.name: wire.path for wire in WIRES}


def example(document: dict[str, Any], wire: Wire) -> dict[str, Any]:
    """Return the request that the bridge's document shows for a wire."""
    body = document["paths"][wire.path]["post"]["requestBody"]
    name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    (found,) = document["components"]["schemas"][name]["examples"]
    assert isinstance(found, dict)
    return found


def test_the_same_question_gets_the_same_answer_on_each_wire(asked: list[Asked]) -> None:
    assert {one.wire for one in asked} == set(PATHS)
    assert {one.client: one.text for one in asked} == {one.client: QUESTION for one in asked}


def test_what_sdks_send_fits_the_published_schemas_of_requests(asked: list[Asked]) -> None:
    found = {}
    for one in asked:
        if one.wire in PUBLISHED:
            vendor, request, _ = PUBLISHED[one.wire]
            found[one.client] = published(vendor).complaint(named(request), one.body)
    assert found == dict.fromkeys(found, "")
    assert len(found) == 7


def test_what_sdks_send_fits_the_bridge_s_own_schemas(asked: list[Asked], own: Schemas) -> None:
    found = {one.client: own.complaint(request_pointer(PATHS[one.wire]), one.body) for one in asked}
    assert found == dict.fromkeys(found, "")


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_the_example_of_a_request_fits_all_schemas_and_is_served(
    patient_bridge: RunningBridge, document: dict[str, Any], own: Schemas, wire: Wire
) -> None:
    shown = example(document, wire)
    assert own.complaint(request_pointer(wire.path), shown) == ""
    if wire.name in PUBLISHED:
        vendor, request, _ = PUBLISHED[wire.name]
        assert published(vendor).complaint(named(request), shown) == ""
    async with http_client(patient_bridge.url) as http:
        assert (await http.post(wire.path, json=shown)).status_code == 200


def against_published(one: Answered) -> str:
    vendor, _, names = PUBLISHED[one.wire]
    return published(vendor).complaint(named(names[one.kind]), one.value)


# The document requires the function's name here; OpenAI's SDKs, which are newer, know of none.
WITHOUT_NAME = "response.function_call_arguments.done"


@pytest.mark.parametrize("wire", PUBLISHED)
def test_all_that_is_sent_fits_the_published_schemas(answered: list[Answered], wire: str) -> None:
    found = [
        f"{one.scenario}, {one.kind}: {complaint}\n  {json.dumps(one.value)}"
        for one in answered
        if one.wire == wire and one.value.get("type") != WITHOUT_NAME
        if (complaint := against_published(one))
    ]
    assert not found, "\n".join(found)


def test_only_the_name_that_newer_types_don_t_have_is_missing(answered: list[Answered]) -> None:
    events = [one for one in answered if one.value.get("type") == WITHOUT_NAME]
    assert events
    for one in events:
        assert against_published(one)
        assert not against_published(
            Answered(one.wire, one.scenario, one.kind, {**one.value, "name": "weather"})
        )


@pytest.mark.parametrize("wire", PUBLISHED)
def test_an_answer_that_lacks_a_field_or_has_a_wrong_one_fits_no_published_schema(
    answered: list[Answered], wire: str
) -> None:
    for one in answered:
        if one.wire == wire:
            name = next(name for name in ("type", "object", "error") if name in one.value)
            for spoiled in ({**one.value, name: 5}, without(one.value, name)):
                assert against_published(Answered(wire, one.scenario, one.kind, spoiled)), spoiled


def without(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: found for key, found in value.items() if key != name}


SPOILED: list[tuple[str, dict[str, Any]]] = [
    ("openai chat", {"messages": "hello"}),
    ("openai chat", {"temperature": 3}),
    ("openai chat", {"tools": [{"type": "function"}]}),
    ("openai responses", {"input": 5}),
    ("openai responses", {"tools": [{"type": "function"}]}),
    ("anthropic", {"max_tokens": "many"}),
    ("anthropic", {"messages": [{"role": "tool", "content": "a"}]}),
    ("anthropic", {"unheard_of": 1}),
]


@pytest.mark.parametrize(("wire", "wrong"), SPOILED, ids=str)
def test_a_request_that_is_wrong_fits_no_published_schema(
    asked: list[Asked], wire: str, wrong: dict[str, Any]
) -> None:
    vendor, request, _ = PUBLISHED[wire]
    body = next(one.body for one in asked if one.wire == wire)
    assert published(vendor).complaint(named(request), body | wrong)


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_a_request_that_does_not_fit_the_bridge_s_own_schema_is_refused(
    patient_bridge: RunningBridge, asked: list[Asked], own: Schemas, wire: Wire
) -> None:
    body = next(one.body for one in asked if one.wire == wire.name)
    spoiled = [{**body, name: {"not": "this"}} for name in body if name in ("model", "messages")]
    spoiled += [without(body, name) for name in body if name in ("messages", "input", "prompt")]
    async with http_client(patient_bridge.url) as http:
        for wrong in spoiled:
            assert own.complaint(request_pointer(wire.path), wrong)
            assert (await http.post(wire.path, json=wrong)).status_code == 400


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_has_each_wire(document: dict[str, Any]) -> None:
    posted = {path for method, path in operations(document) if method == "post"}
    assert posted == {"/v1/chat/completions", *PATHS.values()}


def undeclared(document: dict[str, Any], own: Schemas, response: httpx.Response) -> str:
    """Return what of a response the document doesn't declare, empty for nothing."""
    method, path = response.request.method.lower(), response.request.url.path
    if path.rpartition("/")[2] == "unknown-model":
        path = path.replace("unknown-model", "{model_id}")
    responses = operations(document)[method, path]["responses"]
    status = str(response.status_code)
    status = status if status in responses else "default"
    if status not in responses:
        return f"{method} {path} answers {response.status_code}"
    if not response.content:
        return ""
    media_type = response.headers["content-type"].partition(";")[0]
    if media_type not in responses[status].get("content", {}):
        return f"{method} {path} answers {response.status_code} with {media_type}"
    keys = ("paths", path, method, "responses", status, "content", media_type, "schema")
    pointer = "".join("/" + key.replace("/", "~1") for key in keys)
    is_json = media_type == "application/json"
    complaint = own.complaint(pointer, response.json() if is_json else response.text)
    return complaint and f"{method} {path} answers {response.status_code}: {complaint}"


UNREADABLE_TIMEOUT = {"x-request-timeout": "soon"}


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_every_answer_of_a_wire_is_declared(
    patient_bridge: RunningBridge, document: dict[str, Any], own: Schemas, wire: Wire
) -> None:
    responses = []
    async with http_client(patient_bridge.url) as http:
        for scenario in SCENARIOS.values():
            for stream in (True, False) if wire.whole else (True,):
                responses.append(await http.post(wire.path, json=wire.body(scenario, stream)))
        for request in REFUSED.values():
            responses.append(await http.post(wire.path, **request))
        body = wire.body(SCENARIOS["text"], True)
        responses.append(await http.post(wire.path, json=body, headers=UNREADABLE_TIMEOUT))
    assert {*(r.status_code for r in responses)} >= {200, 400, 401, 403, 404, 409, 415, 429, 500}
    assert list(filter(None, (undeclared(document, own, r) for r in responses))) == []


GETS: list[tuple[str, dict[str, Any]]] = [
    *((path, {}) for path in ("/v1/models", "/anthropic/v1/models", "/ollama/api/tags")),
    *((path, {}) for path in ("/healthz", "/readyz")),
    *((f"/{wire}/v1/models/unknown-model", {}) for wire in ("openai", "anthropic")),
]
STREAM: dict[str, Any] = {
    "params": {"prompt": script(text="a"), "model": "script"},
    "headers": {"accept": "text/event-stream"},
}


@pytest.mark.parametrize("away", [False, True], ids=["backend", "no backend"])
async def test_every_answer_to_a_get_is_declared(
    patient_bridge: RunningBridge,
    transport: Transport,
    document: dict[str, Any],
    own: Schemas,
    away: bool,
) -> None:
    nowhere = Settings(backend=f"127.0.0.1:{free_port()}", transport=transport, retries=0)
    async with serving_bridge(nowhere) as lonely:
        url = (lonely if away else patient_bridge).url
        async with http_client(url) as http:
            responses = [await http.get(path, **request) for path, request in GETS]
            for wrong in (
                {},
                {"accept": "text/html"},
                {"origin": "https://a.example"},
                UNREADABLE_TIMEOUT,
            ):
                headers = {**STREAM["headers"], **wrong}
                responses.append(await http.get("/v1/stream", **{**STREAM, "headers": headers}))
            responses.append(await http.get("/v1/stream", headers=STREAM["headers"]))
    assert {*(r.status_code for r in responses)} >= {200, 400, 403, 406, 422, 503 if away else 404}
    assert list(filter(None, (undeclared(document, own, r) for r in responses))) == []


def test_an_answer_that_is_not_declared_is_noticed(document: dict[str, Any], own: Schemas) -> None:
    request = httpx.Request("GET", "http://bridge/readyz")
    for response in (
        httpx.Response(418, json={}, request=request),
        httpx.Response(200, text="ready", request=request),
        httpx.Response(200, json={"status": "perhaps"}, request=request),
    ):
        assert undeclared(document, own, response)
    ready = httpx.Response(200, json={"status": "ready"}, request=request)
    assert not undeclared(document, own, ready)
