"""The routes beside the completions: models, health, docs, CORS."""

from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

import backend.server
from bridge.settings import Settings
from tests.bridge.stepped import Health, SteppedBackend
from tests.conftest import ask, http_client, on_each_transport, serving_bridge

pytestmark = on_each_transport


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
async def test_models_are_the_backend_s_with_the_default_first(
    http: httpx.AsyncClient, path: str
) -> None:
    response = await http.get(path)
    assert response.status_code == 200
    body = response.json()
    assert body["object"] == "list"
    first = body["data"][0]
    assert (first["id"], first["object"], first["owned_by"]) == ("script", "model", "script")
    assert [model["default"] for model in body["data"]] == [True] + [False] * (
        len(body["data"]) - 1
    )


async def test_a_backend_without_health_is_taken_for_ready(stepped: SteppedBackend) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url) as http,
    ):
        assert (await http.get("/readyz")).json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("health", "reason"),
    [
        (HealthCheckResponse.NOT_SERVING, "UNAVAILABLE: The backend says NOT_SERVING."),
        (
            grpc.StatusCode.NOT_FOUND,
            "UNIMPLEMENTED: The backend does not offer completion.v1.CompletionService.",
        ),
        (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED: no"),
    ],
)
async def test_a_backend_that_does_not_serve_is_not_ready(
    stepped: SteppedBackend, health: Health, reason: str
) -> None:
    stepped.health = health
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url) as http,
    ):
        response = await http.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "reason": reason}


async def test_the_backend_is_asked_for_its_health_once_a_second_at_most(
    stepped: SteppedBackend,
) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url) as http,
    ):
        for _ in range(5):
            await http.get("/readyz")
    assert stepped.asked_for.count("/grpc.health.v1.Health/Check") == 1


async def test_the_request_s_id_is_the_backend_s_metadata(stepped: SteppedBackend) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url) as http,
    ):
        await stepped.end()
        headers = {"x-request-id": "the-request"}
        await http.post("/v1/chat/completions", json=ask("hello"), headers=headers)
    assert ("x-request-id", "the-request") in stepped.metadata


async def test_other_origins_are_not_allowed_by_default(http: httpx.AsyncClient) -> None:
    response = await http.get("/healthz", headers={"origin": "https://a.example"})
    assert "access-control-allow-origin" not in response.headers


async def test_an_origin_of_the_list_may_call_and_read_the_request_s_id(
    backend_server: backend.server.Server,
) -> None:
    settings = Settings(backend=backend_server.address, cors_origins=["https://a.example"])
    preflight = {
        "origin": "https://a.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,grpc-timeout,prefer,"
        "x-request-id,x-request-timeout",
    }
    async with (
        serving_bridge(settings) as running,
        http_client(running.url) as http,
    ):
        allowed = await http.options("/v1/chat/completions", headers=preflight)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://a.example"
        answer = await http.post(
            "/v1/chat/completions", json=ask("hello"), headers={"origin": "https://a.example"}
        )
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert exposed == ["x-request-id", "x-should-retry", "retry-after", "retry-after-ms"]
        refused = await http.options(
            "/v1/chat/completions", headers={**preflight, "origin": "https://b.example"}
        )
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers


async def operation(http: httpx.AsyncClient) -> dict[str, Any]:
    schema = (await http.get("/openapi.json")).json()
    found = schema["paths"]["/v1/chat/completions"]["post"]
    assert isinstance(found, dict)
    return found


async def test_openapi_tells_of_the_stream_and_its_errors(http: httpx.AsyncClient) -> None:
    responses = (await operation(http))["responses"]
    assert set(responses) == {"200", "400", "415", "422", "default"}
    content = responses["200"]["content"]
    assert set(content) == {"text/event-stream", "application/json"}
    for example in content["text/event-stream"]["examples"].values():
        assert example["value"].endswith("data: [DONE]\n\n")
    for status in ("400", "415", "422", "default"):
        schema = responses[status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorBody"}


async def test_openapi_s_example_of_a_request_is_served(http: httpx.AsyncClient) -> None:
    schema = (await http.get("/openapi.json")).json()
    (example,) = schema["components"]["schemas"]["ChatRequest"]["examples"]
    response = await http.post("/v1/chat/completions", json=example)
    assert response.content.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ("OpenAIChatRequest", "stop"),
        ("OpenAIChatRequest", "tool_choice"),
        ("OpenAIResponsesRequest", "input"),
        ("OpenAIResponsesRequest", "tool_choice"),
        ("AnthropicRequest", "system"),
        ("AnthropicMessage", "content"),
    ],
)
async def test_openapi_has_the_text_that_may_stand_for_more(
    http: httpx.AsyncClient, schema: str, field: str
) -> None:
    schemas = (await http.get("/openapi.json")).json()["components"]["schemas"]
    forms = schemas[schema]["properties"][field]["anyOf"]
    assert "string" in {form.get("type") for form in forms}
    assert {"array", None} & {form.get("type") for form in forms}


async def test_openapi_takes_for_what_is_not_supported_what_asks_for_nothing(
    http: httpx.AsyncClient,
) -> None:
    schemas = (await http.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["OpenAIChatRequest"]["properties"]["store"]["enum"][:2] == [None, False]


async def test_openapi_declares_that_all_but_health_may_fail(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    silent = {
        path
        for path, methods in paths.items()
        for operation in methods.values()
        if "default" not in operation["responses"]
    }
    assert silent == {"/healthz", "/readyz"}


async def test_the_docs_load_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    page = (await http.get("/docs")).text
    assert "https://" not in page
    assert "http://" not in page
