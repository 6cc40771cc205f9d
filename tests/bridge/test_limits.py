"""What is too large or too many is refused, early, and what was accepted is served."""

import json
from collections.abc import AsyncIterator

import pytest

from bridge.settings import Settings
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend
from tests.conftest import DONE, ask, eventually, http_client, on_each_transport, serving_bridge

pytestmark = on_each_transport

PATH = "/v1/chat/completions"


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_is_413(stepped: SteppedBackend, declared: bool) -> None:
    body = json.dumps(ask("a" * 15_000)).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    async with (
        serving_bridge(Settings(backend=stepped.address, max_body_bytes=1000)) as running,
        http_client(running.url) as http,
    ):
        response = await http.post(
            PATH,
            content=body if declared else pieces(),
            headers={"content-type": "application/json", "x-request-id": "the-request"},
        )
        assert (await http.get("/healthz")).status_code == 200
    assert response.status_code == 413
    assert response.headers["x-request-id"] == "the-request"
    assert response.json() == {
        "error": "The body is larger than 1000 bytes.",
        "code": "INVALID_ARGUMENT",
        "retryable": False,
    }


async def test_a_message_that_is_too_large_ends_its_stream(stepped: SteppedBackend) -> None:
    settings = Settings(backend=stepped.address, max_message_bytes=1000)
    async with (
        serving_bridge(settings) as running,
        http_client(running.url) as http,
    ):
        await stepped.send(StreamCompletionResponse(text="a"))
        await stepped.send(StreamCompletionResponse(text="a" * 1001))
        response = await http.post(PATH, json=ask("hello"))
    assert response.content == (
        b'data: {"content":"a"}\n\n'
        b'data: {"error":"A message of the backend is too large.",'
        b'"code":"RESOURCE_EXHAUSTED","retryable":true}\n\n' + DONE
    )


async def test_one_stream_too_many_is_503_and_the_others_are_served(
    stepped: SteppedBackend,
) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address, max_streams=1)) as running,
        http_client(running.url) as http,
        http.stream("POST", PATH, json=ask("hello")) as response,
    ):
        refused = await http.post(PATH, json=ask("hello"))
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-request-id"]
        assert refused.json() == {
            "error": "Too many streams are open. Try again in a moment.",
            "code": "UNAVAILABLE",
            "retryable": True,
        }
        assert (await http.get("/healthz")).status_code == 200
        await stepped.end()
        assert await response.aread() == DONE
        await eventually(lambda: len(running.streams) == 0)
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE


async def test_one_client_s_streams_are_limited_behind_a_trusted_proxy_too(
    stepped: SteppedBackend,
) -> None:
    settings = Settings(backend=stepped.address, max_streams_per_client=1)
    one, other = {"x-forwarded-for": "10.0.0.1"}, {"x-forwarded-for": "10.0.0.2"}
    async with (
        serving_bridge(settings) as running,
        http_client(running.url) as http,
        http.stream("POST", PATH, json=ask("hello"), headers=one) as response,
    ):
        refused = await http.post(PATH, json=ask("hello"), headers=one)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert refused.json() == {
            "error": "You have 1 streams open, which is the limit.",
            "code": "RESOURCE_EXHAUSTED",
            "retryable": True,
        }
        await stepped.end()
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"), headers=other)).content == DONE
        assert await response.aread() == DONE


async def test_a_proxy_that_is_not_trusted_names_nobody(stepped: SteppedBackend) -> None:
    settings = Settings(
        backend=stepped.address, max_streams_per_client=1, trusted_proxies=["10.0.0.0/8"]
    )
    async with (
        serving_bridge(settings) as running,
        http_client(running.url) as http,
        http.stream("POST", PATH, json=ask("hello"), headers={"x-forwarded-for": "10.0.0.1"}),
    ):
        refused = await http.post(PATH, json=ask("hello"), headers={"x-forwarded-for": "10.0.0.2"})
        assert refused.status_code == 429
