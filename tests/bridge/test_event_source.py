"""``GET /v1/stream``, for ``EventSource``."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import backend.server
from bridge.settings import Settings
from bridge.upstream.completion import STREAM_COMPLETION
from bridge.upstream.transport import Transport
from bridge.verdict import Outcome
from tests.bridge.stepped import SteppedBackend
from tests.conftest import (
    DONE,
    RunningBridge,
    http_client,
    on_each_transport,
    script,
    serving_bridge,
)

PATH = "/v1/stream"
ACCEPT = {"accept": "text/event-stream"}
OPENING = b"retry: 100\nid: mine\n\n"
AWAY = b'data: {"error":"gone","code":"UNAVAILABLE","retryable":true}\n\n'


async def get(
    http: httpx.AsyncClient, headers: dict[str, str] | None = None, **query: Any
) -> httpx.Response:
    asked = {"model": "script", **query}
    return await http.get(
        PATH, params=asked, headers={**ACCEPT, "x-request-id": "mine", **(headers or {})}
    )


@on_each_transport
async def test_a_stream_is_the_plain_wire_with_an_id(http: httpx.AsyncClient) -> None:
    response = await get(http, prompt=script(chunks=["Hel", "", "lo"]))
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.content == (
        OPENING
        + b'data: {"content":"Hel"}\n\ndata: {"content":"lo"}\n\n'
        + b'data: {"content":"","finish_reason":"stop"}\n\n'
        + DONE
    )


@on_each_transport
async def test_events_can_have_names(http: httpx.AsyncClient) -> None:
    failure = {"code": "UNAVAILABLE", "message": "gone", "after": 1}
    finished = await get(http, prompt=script(text="a"), events="named")
    silent = await get(http, prompt=script(chunks=[], finish_reason=None), events="named")
    failed = await get(http, prompt=script(text="a", fail=failure), events="named")
    content, done = b'event: content\ndata: {"content":"a"}\n\n', b"event: done\n" + DONE
    finish = b'event: finish\ndata: {"content":"","finish_reason":"stop"}\n\n'
    assert finished.content == OPENING + content + finish + done
    assert silent.content == OPENING + done
    assert failed.content == OPENING + content + b"event: failure\n" + AWAY + done


@on_each_transport
async def test_a_failure_before_the_first_message_is_in_the_stream(
    http: httpx.AsyncClient,
) -> None:
    failure = {"code": "NOT_FOUND", "message": "gone"}
    response = await get(http, prompt=script(fail=failure))
    assert response.status_code == 200
    failed = b'data: {"error":"gone","code":"NOT_FOUND","retryable":false}\n\n'
    assert response.content == OPENING + failed + DONE


@on_each_transport
async def test_who_comes_back_is_told_that_there_is_no_more(bridge_server: RunningBridge) -> None:
    before = len(bridge_server.records)
    async with http_client(bridge_server.url) as http:
        response = await get(http, {"last-event-id": "mine"}, prompt="hello")
    assert (response.status_code, response.content) == (204, b"")
    assert len(bridge_server.records) == before


@on_each_transport
async def test_all_parameters_are_carried(http: httpx.AsyncClient) -> None:
    query: dict[str, Any] = {"system": "Be brief.", "temperature": "0.5", "max_tokens": "7"}
    response = await get(http, prompt="hello", **query)
    assert b'{"content":"hello"}' in response.content


@on_each_transport
@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({}, "prompt: Field required"),
        ({"prompt": "a", "max_tokens": "0"}, "max_tokens: Input should be greater than or equal"),
        ({"prompt": "a", "temperature": "hot"}, "temperature: Input should be a valid number"),
        ({"prompt": "a", "events": "all"}, "events: Input should be 'default' or 'named'"),
    ],
    ids=["prompt", "max_tokens", "temperature", "events"],
)
async def test_a_wrong_parameter_is_named(
    http: httpx.AsyncClient, query: dict[str, Any], why: str
) -> None:
    response = await get(http, **query)
    assert response.status_code == 422
    assert why in response.json()["error"]


@on_each_transport
async def test_who_does_not_accept_events_gets_none(http: httpx.AsyncClient) -> None:
    # As a page does that names the URL as an image.
    response = await get(http, {"accept": "image/*,*/*;q=0.8"}, prompt="hello")
    assert response.status_code == 406
    assert response.json()["error"] == (
        "This is for EventSource: Accept must name text/event-stream."
    )


@on_each_transport
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
async def test_a_page_of_another_origin_is_refused(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await get(http, headers, prompt="hello")
    assert response.status_code == 403
    assert response.json()["error"] == "This page's origin is not in BRIDGE_CORS_ORIGINS."


@on_each_transport
@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://{host}"}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}],
    ids=str,
)
async def test_a_page_of_the_bridge_s_own_origin_is_served(
    bridge_server: RunningBridge, headers: dict[str, str]
) -> None:
    host = bridge_server.url.removeprefix("http://")
    sent = {name: value.format(host=host) for name, value in headers.items()}
    async with http_client(bridge_server.url) as http:
        assert (await get(http, sent, prompt="hello")).status_code == 200


async def test_a_head_has_the_headers_of_a_stream_and_runs_no_rpc(
    stepped: SteppedBackend, transport: Transport
) -> None:
    settings = Settings(backend=stepped.address, max_streams=1, shutdown_grace=0)
    asked, headers = {"prompt": "hello"}, {**ACCEPT, "x-request-id": "mine"}
    async with serving_bridge(settings) as running, http_client(running.url) as http:
        async with http.stream("GET", PATH, params=asked, headers=headers) as response:
            await stepped.began()
            # While there can be no other stream.
            head = await http.head(PATH, params=asked, headers=headers)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers.keys() == response.headers.keys() - {"transfer-encoding"}
            assert head.headers["content-type"] == response.headers["content-type"]
        await running.record("mine")
        assert (await http.head(PATH, headers=ACCEPT)).status_code == 422
    assert len(running.records) == stepped.asked_for.count(STREAM_COMPLETION.path) == 1


@pytest.mark.parametrize("allowed", ["https://elsewhere.example", "*"])
async def test_a_page_of_an_allowed_origin_is_served(
    backend_server: backend.server.Server, transport: Transport, allowed: str
) -> None:
    settings = Settings(backend=backend_server.address, cors_origins=[allowed], shutdown_grace=0)
    origin = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
    async with serving_bridge(settings) as running, http_client(running.url) as http:
        response = await get(http, origin, prompt="hello")
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == allowed


async def test_it_counts_as_an_open_stream(
    backend_server: backend.server.Server, transport: Transport
) -> None:
    settings = Settings(backend=backend_server.address, max_streams=1, shutdown_grace=0)
    async with serving_bridge(settings) as running, http_client(running.url) as http:
        asked = {"prompt": script(text="a", hang_after=1), "model": "script"}
        headers = {**ACCEPT, "x-request-id": "mine"}
        async with http.stream("GET", PATH, params=asked, headers=headers) as response:
            assert response.status_code == 200
            refused = await get(http, prompt="hello")
            assert refused.status_code == 503
            assert (await http.get("/v1/models")).status_code == 200
        assert (await running.record("mine")).outcome is Outcome.LEFT
