"""A backend in another language, with reflection, and nothing else that is known of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bridge.settings import Settings
from tests.conftest import DONE, http_client, on_each_transport, serving_bridge

pytestmark = on_each_transport

NODE = Path(__file__).parent / "node"
GUIDE = "/guide.v1.RouteGuide"
LINES = {"content-type": "application/x-ndjson", "accept": "application/x-ndjson"}


@pytest.fixture(scope="session")
async def node_backend() -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        "node", "server.mjs", cwd=NODE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    port = (await process.stdout.readline()).decode().strip()
    assert port, "these tests need grpc-js: npm ci --prefix tests/transcoding/node"
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def http(node_backend: str, transport: str) -> AsyncIterator[httpx.AsyncClient]:
    chosen = Settings(backend=node_backend, services=["*"], shutdown_grace=0)
    async with serving_bridge(chosen) as running, http_client(running.url, timeout=20) as client:
        yield client


async def test_a_unary_rpc_of_node_is_json(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{GUIDE}/GetFeature", json={"latitude": 4, "longitude": 5})
    assert answer.json() == {"name": "place 4", "location": {"latitude": 4, "longitude": 5}}


async def test_an_error_of_node_is_its_status(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{GUIDE}/GetFeature", json={"latitude": 91})
    assert answer.status_code == 400
    assert answer.json() == {"code": 11, "message": "no such latitude", "details": []}


async def test_a_stream_of_node_is_events_to_its_end(http: httpx.AsyncClient) -> None:
    body = {"low": {"latitude": 1}, "high": {"latitude": 3}}
    answer = await http.post(f"{GUIDE}/ListFeatures", json=body)
    assert answer.content == (
        b'data: {"name":"place 1","location":{"latitude":1}}\n\n'
        b'data: {"name":"place 2","location":{"latitude":2}}\n\n'
        b"id: ended\n\n" + DONE
    )


async def test_a_stream_of_node_that_breaks_says_so(http: httpx.AsyncClient) -> None:
    body = {"low": {"latitude": 90}, "high": {"latitude": 92}}
    answer = await http.post(f"{GUIDE}/ListFeatures", json=body, headers=LINES | JSON)
    *features, last = map(json.loads, answer.text.splitlines())
    assert [feature["name"] for feature in features] == ["place 90", "place 91"]
    assert last["error"]["code"] == 15


async def test_streams_of_requests_reach_node(http: httpx.AsyncClient) -> None:
    points = '{"latitude":1}\n{"latitude":2}\n{}\n'
    summary = await http.post(f"{GUIDE}/RecordRoute", content=points, headers=LINES)
    assert summary.json() == {"pointCount": 3, "distance": "9007199254740993"}
    notes = '{"message":"a"}\n{"message":"b"}\n'
    chat = await http.post(f"{GUIDE}/RouteChat", content=notes, headers=LINES)
    assert [json.loads(line)["message"] for line in chat.text.splitlines()] == ["A", "B"]


JSON = {"content-type": "application/json"}
