"""A service with a proto of its own, on the wires that people's clients have."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from bridge.settings import Settings
from tests.conftest import DONE, http_client, on_each_transport, serving_bridge
from tests.transcoding.backend import schema_of, serving
from tests.transcoding.conftest import Compile

pytestmark = on_each_transport

ACME = """
package acme.v1;
service Generator { rpc Generate(Request) returns (stream Reply); }
message Request { string model = 1; string prompt = 2; int32 most = 3; }
message Reply { string text = 1; string ended_by = 2; int32 read = 3; int32 written = 4; }
"""

MAPPING = """
completions:
  service: acme.v1.Generator
  method: Generate
  models: [acme-small, acme-large]
  prompt: {user: "<{content}>", assistant: "={content}", answer: "="}
  request: {model: $model, prompt: $prompt, most: $max_tokens}
  response:
    text: {from: text, whole: true}
    finish_reason: {from: ended_by, values: {eos: stop, limit: length, crash: INTERNAL}}
    usage: {prompt_tokens: read, completion_tokens: written}
"""


def generate(answer: Any) -> Any:
    async def generate(request: Any, context: Any) -> AsyncIterator[Any]:
        said = ""
        for word in (request.model, " ", request.prompt):
            said += word
            yield answer(text=said)
        ended_by = "crash" if "crash" in request.prompt else "eos"
        yield answer(text=said, ended_by=ended_by, read=2, written=3)

    return generate


@pytest.fixture(scope="session")
def mapping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("acme") / "acme.yaml"
    path.write_text(MAPPING)
    return path


@pytest.fixture(scope="session")
async def url(compile_protos: Compile, mapping: Path, transport: str) -> AsyncIterator[str]:
    async with serving(schema_of(compile_protos(acme=ACME)), {"Generate": generate}) as address:
        chosen = Settings(backend=address, completions=mapping, shutdown_grace=0)
        async with serving_bridge(chosen) as running:
            yield running.url


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(url, timeout=20) as client:
        yield client


def ask(content: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], **fields}


async def test_a_mapped_service_speaks_the_plain_wire(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/chat/completions", json=ask("Hi", model="acme-large"))
    assert answer.content == (
        b'data: {"content":"acme-large"}\n\n'
        b'data: {"content":" "}\n\n'
        b'data: {"content":"<Hi>="}\n\n'
        b'data: {"content":"","finish_reason":"stop","usage":'
        b'{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}\n\n' + DONE
    )


async def test_a_mapped_service_that_tells_of_a_failure_fails(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/chat/completions", json=ask("crash"))
    *_, failure, done, _ = answer.content.split(b"\n\n")
    assert b'"code":"INTERNAL"' in failure
    assert done == b"data: [DONE]"


async def test_a_mapped_service_speaks_to_openai_s_sdk(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/openai/v1", api_key="none") as client:
        stream = await client.chat.completions.create(
            model="acme-small", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        choices = [choice async for chunk in stream for choice in chunk.choices]
        models = [model.id async for model in client.models.list()]
    assert "".join(choice.delta.content or "" for choice in choices) == "acme-small <Hi>="
    assert choices[-1].finish_reason == "stop"
    assert models == ["acme-small", "acme-large"]


USER = [{"role": "user", "content": "Hi"}]
PARTS = [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]
# What is posted, the pieces of text in the answer, and its last frame.
POSTED = [
    (
        "/openai/v1/responses",
        {"model": "acme-small", "input": "Hi", "stream": True},
        r'"response.output_text.delta",.*"delta":"([^"]*)"',
        "data: [DONE]",
    ),
    (
        "/anthropic/v1/messages",
        {"model": "acme-small", "messages": USER, "max_tokens": 9, "stream": True},
        r'"text_delta","text":"([^"]*)"',
        'data: {"type":"message_stop"}',
    ),
    (
        "/ui-message/api/chat",
        {"model": "acme-small", "messages": PARTS},
        r'"text-delta",.*"delta":"([^"]*)"',
        "data: [DONE]",
    ),
    (
        "/ollama/api/chat",
        {"model": "acme-small", "messages": USER},
        r'"message":{"role":"assistant","content":"([^"]*)"',
        '"done_reason":"stop"',
    ),
]


@pytest.mark.parametrize(("path", "body", "piece", "end"), POSTED)
async def test_a_mapped_service_speaks_every_other_wire(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], piece: str, end: str
) -> None:
    answer = await http.post(path, json=body)
    assert answer.status_code == 200
    assert "".join(re.findall(piece, answer.text)) == "acme-small <Hi>="
    assert end in answer.text.strip().splitlines()[-1]


async def test_a_mapped_service_speaks_to_an_event_source(http: httpx.AsyncClient) -> None:
    asked = {"prompt": "Hi", "model": "acme-small"}
    answer = await http.get("/v1/stream", params=asked, headers={"accept": "text/event-stream"})
    assert "".join(re.findall(r'"content":"([^"]*)"', answer.text)) == "acme-small <Hi>="
    assert answer.content.endswith(DONE)


async def test_what_a_mapped_service_can_t_do_is_refused_by_its_name(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.post("/v1/chat/completions", json=ask("Hi", temperature=1))
    assert b"temperature: This is not supported by the backend" in answer.content
    unknown = await http.post(
        "/v1/chat/completions", json=ask("Hi", model="other"), headers={"prefer": "status"}
    )
    assert unknown.status_code == 404


async def test_a_mapped_service_is_not_exposed_by_that(http: httpx.AsyncClient) -> None:
    assert (await http.post("/acme.v1.Generator/Generate", json={})).status_code == 404
