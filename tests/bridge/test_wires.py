"""Which wire a request speaks."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bridge.dialects.wires import UnknownWireError, Wire, chosen
from tests.conftest import ask, on_each_transport

SHARED = "/v1/chat/completions"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"},
        {"user-agent": "curl/8.5.0"},
        {"user-agent": "python-httpx/0.28.1"},
        {"accept": "text/event-stream"},
        {"accept": 'text/event-stream; q="0.5"'},
        {"accept": 'application/ld+json; profile="http://www.w3.org/ns/json-ld#compacted"'},
    ],
)
def test_who_names_no_wire_gets_the_default(headers: dict[str, str]) -> None:
    for default in (Wire.PLAIN, Wire.OPENAI):
        assert chosen(headers, default) is default


@pytest.mark.parametrize(
    "headers",
    [
        {"user-agent": "OpenAI/Python 3.57.0"},
        {"user-agent": "AsyncOpenAI/Python 3.57.0"},
        {"user-agent": "AzureOpenAI/Python 3.57.0"},
        {"user-agent": "OpenAI/JS 7.57.0"},
        {"user-agent": "ai-sdk-openai-compatible/3.0.92 ai-sdk-provider-utils/5.0.81 node.js/24"},
        {"user-agent": "ai/7.0.173 ai-sdk-provider-utils/5.0.81 node.js/24"},
        {"user-agent": "ai/5.0.0 ai-sdk/openai-compatible/1.0.0 runtime/node.js/22"},
        {"user-agent": "mine", "x-stainless-lang": "python"},
        {"accept": "text/event-stream; profile=openai"},
        {"accept": 'application/json, text/event-stream;charset=utf-8;profile="openai"'},
        {"x-bridge-wire": "openai"},
        {"x-bridge-wire": "OpenAI"},
    ],
)
def test_who_is_an_sdk_of_openai_or_asks_for_its_wire_gets_it(headers: dict[str, str]) -> None:
    assert chosen(headers, Wire.PLAIN) is Wire.OPENAI


def test_who_is_an_sdk_of_anthropic_gets_its_wire() -> None:
    headers = {"anthropic-version": "2023-06-01", "x-stainless-lang": "python"}
    assert chosen(headers, Wire.PLAIN) is Wire.ANTHROPIC


def test_who_asks_gets_what_it_asks_for_though_it_is_an_sdk() -> None:
    headers = {"user-agent": "OpenAI/Python 3.57.0", "x-bridge-wire": "plain"}
    assert chosen(headers, Wire.OPENAI) is Wire.PLAIN


def test_a_wire_that_there_is_not_is_refused() -> None:
    with pytest.raises(
        UnknownWireError, match="no wire 'soap' here; the wires are: plain, openai,"
    ):
        chosen({"x-bridge-wire": "soap"}, Wire.PLAIN)


def test_a_path_that_the_wanted_wire_has_not_goes_to_one_that_has_it() -> None:
    sdk = {"user-agent": "OpenAI/Python 3.57.0"}
    assert chosen(sdk, Wire.PLAIN, (Wire.ANTHROPIC,)) is Wire.ANTHROPIC
    with pytest.raises(UnknownWireError, match="no wire 'plain' here; the wires are: anthropic"):
        chosen({"x-bridge-wire": "plain"}, Wire.PLAIN, (Wire.ANTHROPIC,))


async def post(http: httpx.AsyncClient, path: str, **headers: str) -> httpx.Response:
    return await http.post(path, json=ask("hello", stream=False), headers=headers)


def wire_of(answer: Any) -> Wire:
    return Wire.OPENAI if "choices" in answer else Wire.PLAIN


@on_each_transport
@pytest.mark.parametrize("path", [SHARED, "/chat/completions"])
async def test_a_path_that_wires_share_goes_by_the_headers(
    http: httpx.AsyncClient, path: str
) -> None:
    assert wire_of((await post(http, path)).json()) is Wire.PLAIN
    assert wire_of((await post(http, path, **{"x-bridge-wire": "openai"})).json()) is Wire.OPENAI


@on_each_transport
async def test_a_prefix_is_stronger_than_the_headers(http: httpx.AsyncClient) -> None:
    for path in ("/plain" + SHARED, "/plain/chat/completions"):
        answer = await post(http, path, **{"x-bridge-wire": "openai"})
        assert wire_of(answer.json()) is Wire.PLAIN
    for path in ("/openai" + SHARED, "/openai/chat/completions"):
        answer = await post(http, path, **{"x-bridge-wire": "plain"})
        assert wire_of(answer.json()) is Wire.OPENAI


@on_each_transport
async def test_a_failure_has_the_form_of_its_wire(http: httpx.AsyncClient) -> None:
    for path, status in ((SHARED, 422), ("/openai" + SHARED, 400)):
        response = await http.post(path, json={"messages": []})
        assert response.status_code == status
        assert isinstance(response.json()["error"], dict) == (status == 400)
    nowhere = await http.get("/openai/v1/nowhere")
    assert nowhere.status_code == 404
    assert nowhere.json()["error"]["type"] == "invalid_request_error"


@on_each_transport
async def test_a_request_for_an_unknown_wire_is_told_which_there_are(
    http: httpx.AsyncClient,
) -> None:
    response = await post(http, SHARED, **{"x-bridge-wire": "soap"})
    assert response.status_code == 400
    assert response.json()["error"] == "There is no wire 'soap' here; the wires are: plain, openai."
