"""Requests that are refused: the status, and a body that says what to do."""

import json
from typing import Any

import httpx
import pytest

from bridge.settings import Settings
from tests.conftest import RunningBridge, ask, http_client, on_each_transport, serving_bridge

pytestmark = on_each_transport

PATH = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


async def post(http: httpx.AsyncClient, content: bytes, **headers: str) -> httpx.Response:
    return await http.post(
        PATH, content=content, headers={"content-type": "application/json", **headers}
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The body is not JSON: Expecting property name enclosed in double quotes"),
        (b"hello", "The body is not JSON: Expecting value"),
        (b'{"messages": [}', "The body is not JSON: Expecting value"),
    ],
)
async def test_a_body_that_is_not_json_is_400(
    http: httpx.AsyncClient, body: bytes, message: str
) -> None:
    response = await post(http, body)
    assert response.status_code == 400
    error = response.json()
    assert error.pop("error").startswith(message)
    assert error == {"code": "INVALID_ARGUMENT", "retryable": False}


async def test_a_body_that_is_not_declared_as_json_is_415(http: httpx.AsyncClient) -> None:
    response = await http.post(PATH, content=json.dumps(HELLO))
    assert response.status_code == 415
    assert response.json() == {
        "error": "The body must be sent with 'Content-Type: application/json'.",
        "code": "INVALID_ARGUMENT",
        "retryable": False,
    }


@pytest.mark.parametrize(
    ("body", "field", "description"),
    [
        ({}, "messages", "Field required"),
        ({"messages": []}, "messages", "List should have at least 1 item"),
        ({"messages": "hello"}, "messages", "Input should be a valid list"),
        ({"messages": [{"role": "user"}]}, "messages.0.content", "Field required"),
        ({"messages": [{"role": "cat", "content": ""}]}, "messages.0.role", "Input should be"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content", "Input should be"),
        ({**HELLO, "temperature": 2.1}, "temperature", "Input should be less than or equal to 2"),
        ({**HELLO, "temperature": -1}, "temperature", "Input should be greater than or equal"),
        ({**HELLO, "max_tokens": 0}, "max_tokens", "Input should be greater than or equal to 1"),
        ({**HELLO, "max_tokens": 2**32}, "max_tokens", "Input should be less than or equal"),
        ({**HELLO, "max_tokens": 1.5}, "max_tokens", "Input should be a valid integer"),
        ({**HELLO, "stream": "yes"}, "stream", "Input should be a valid boolean"),
        ({**HELLO, "model": 1}, "model", "Input should be a valid string"),
        ([], "", "Input should be a valid dictionary"),
    ],
)
async def test_a_wrong_field_is_422_and_named(
    http: httpx.AsyncClient, body: Any, field: str, description: str
) -> None:
    response = await http.post(PATH, json=body)
    assert response.status_code == 422
    error = response.json()
    (violation,) = error["fields"]
    assert violation["field"] == field
    assert violation["description"].startswith(description)
    assert error["error"] == f"{field or 'body'}: {violation['description']}"
    assert (error["code"], error["retryable"]) == ("INVALID_ARGUMENT", False)


async def test_every_wrong_field_is_named(http: httpx.AsyncClient) -> None:
    response = await http.post(PATH, json={"messages": [], "temperature": 3, "max_tokens": 0})
    fields = [violation["field"] for violation in response.json()["fields"]]
    assert fields == ["messages", "temperature", "max_tokens"]


async def test_a_lone_surrogate_is_refused(http: httpx.AsyncClient) -> None:
    response = await post(http, rb'{"messages":[{"role":"user","content":"\ud800"}]}')
    assert response.status_code == 422
    assert response.json()["error"] == (
        "messages.0.content: Text can't have half a surrogate pair, as at character 0"
    )


async def test_nan_is_refused(http: httpx.AsyncClient) -> None:
    body = json.dumps({**HELLO, "temperature": float("nan")}).encode()
    response = await post(http, body)
    assert response.status_code == 422
    assert response.json()["fields"][0]["field"] == "temperature"


async def test_fields_of_other_apis_are_ignored(http: httpx.AsyncClient) -> None:
    extra = {"n": "x", "logprobs": [], "stream_options": {"include_usage": True}, "user": 7}
    response = await http.post(PATH, json={**ask("hello"), **extra, "temperature": None})
    assert response.status_code == 200
    assert response.content.startswith(b'data: {"content":"hello"}\n\n')


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", PATH, 405, "UNIMPLEMENTED"),
        ("DELETE", PATH, 405, "UNIMPLEMENTED"),
        ("POST", "/healthz", 405, "UNIMPLEMENTED"),
    ],
)
async def test_wrong_paths_and_methods_have_the_same_shape(
    http: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    response = await http.request(method, path)
    assert response.status_code == status
    assert (response.json()["code"], response.json()["retryable"]) == (code, False)
    if status == 405:
        assert response.headers["allow"]


@pytest.mark.logs_errors
async def test_an_exception_of_ours_tells_no_more_than_the_request_s_id(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr("bridge.upstream.Backends.obstacle", fail)
    response = await http.get("/readyz", headers={"x-request-id": "the-request"})
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "the-request"
    assert response.json() == {
        "error": "The request failed. Request id: the-request",
        "code": "INTERNAL",
        "retryable": False,
    }
    assert "a secret of ours" in caplog.text


async def test_a_setting_shows_what_is_private(bridge_server: RunningBridge) -> None:
    backend = bridge_server.server._settings.backend  # noqa: SLF001
    fail = {"code": "INTERNAL", "message": "a detail"}
    body = ask(json.dumps({"text": "a", "fail": fail}))
    settings = Settings(backend=backend, show_error_details=True, prefer_status=True)
    async with (
        serving_bridge(settings) as running,
        http_client(running.url) as http,
    ):
        response = await http.post(PATH, json=body)
    assert response.status_code == 500
    assert response.json()["error"] == "a detail"


async def test_a_setting_shows_why_the_backend_can_t_be_reached() -> None:
    settings = Settings(backend="127.0.0.1:1", show_error_details=True, prefer_status=True)
    async with (
        serving_bridge(settings) as running,
        http_client(running.url) as http,
    ):
        response = await http.post(PATH, json=ask("hello"))
    assert response.status_code == 503
    assert "127.0.0.1:1" in response.json()["error"]
