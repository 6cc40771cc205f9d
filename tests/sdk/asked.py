"""One question, asked with each SDK, and what each has sent for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anthropic
import ollama
import openai

from tests.sdk.answers import FUNCTION, PARAMETERS
from tests.sdk.typescript import run_node

QUESTION = "Name the capital of France."

SAMPLING: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9}

# By event, of httpx or of what an SDK has in its place.
Hooks = dict[str, list[Callable[[Any], Awaitable[None]]]]


@dataclass(frozen=True)
class Asked:
    """A request of an SDK, and the text that the SDK has got."""

    client: str
    wire: str
    body: dict[str, Any]
    text: str


def _openai(bridge: str, hooks: Hooks) -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(event_hooks=hooks)
    return openai.AsyncOpenAI(base_url=f"{bridge}/openai/v1", api_key="-", http_client=http)


async def _openai_chat(bridge: str, hooks: Hooks) -> str:
    call: Any = {"name": "weather", "arguments": "{}"}
    function: Any = FUNCTION
    async with _openai(bridge, hooks) as client:
        completion = await client.chat.completions.create(
            model="script",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "What is the weather?"}]},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "a", "type": "function", "function": call}],
                },
                {"role": "tool", "tool_call_id": "a", "content": "sun"},
                {"role": "user", "content": QUESTION},
            ],
            tools=[{"type": "function", "function": function}],
            tool_choice="auto",
            stop="END",
            store=False,
            max_completion_tokens=100,
            logprobs=True,
            top_logprobs=2,
            response_format={"type": "text"},
            **SAMPLING,
        )
    return completion.choices[0].message.content or ""


async def _openai_responses(bridge: str, hooks: Hooks) -> str:
    tool: Any = {"type": "function", **FUNCTION, "strict": False}
    async with _openai(bridge, hooks) as client:
        response = await client.responses.create(
            model="script",
            instructions="Be brief.",
            input=[
                {"role": "user", "content": "What is the weather?"},
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "a", "output": "sun"},
                {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
            ],
            tools=[tool],
            tool_choice="auto",
            store=False,
            max_output_tokens=100,
            top_logprobs=2,
            metadata={"mine": "yes"},
            text={"format": {"type": "text"}},
            **SAMPLING,
        )
    text: str = response.output_text
    return text


async def _anthropic(bridge: str, hooks: Hooks) -> str:
    tool: Any = {"name": "weather", "input_schema": PARAMETERS}
    async with anthropic.AsyncAnthropic(
        base_url=f"{bridge}/anthropic",
        api_key="-",
        http_client=anthropic.DefaultAsyncHttpxClient(event_hooks=hooks),
    ) as client:
        message = await client.messages.create(
            model="script",
            max_tokens=100,
            system=[{"type": "text", "text": "Be brief."}],
            messages=[
                {"role": "user", "content": "What is the weather?"},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "a", "name": "weather", "input": {}}],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "a", "content": "sun"},
                        {"type": "text", "text": QUESTION},
                    ],
                },
            ],
            tools=[tool],
            tool_choice={"type": "auto"},
            stop_sequences=["END"],
        )
    (block,) = message.content
    assert block.type == "text"
    return block.text


@asynccontextmanager
async def _ollama(bridge: str, hooks: Hooks) -> AsyncIterator[ollama.AsyncClient]:
    client = ollama.AsyncClient(f"{bridge}/ollama", event_hooks=hooks)
    try:
        yield client
    finally:
        await client.close()  # type: ignore[no-untyped-call]


async def _ollama_chat(bridge: str, hooks: Hooks) -> str:
    call = {"function": {"name": "weather", "arguments": {}}}
    async with _ollama(bridge, hooks) as client:
        answer = await client.chat(
            "script",
            [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "What is the weather?"},
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "content": "sun", "tool_name": "weather"},
                {"role": "user", "content": QUESTION},
            ],
            tools=[{"type": "function", "function": FUNCTION}],
            options={"stop": ["END"], "num_predict": 100, "num_ctx": 2048, **SAMPLING},
        )
    return answer.message.content or ""


async def _ollama_generate(bridge: str, hooks: Hooks) -> str:
    options = {"stop": ["END"], **SAMPLING}
    async with _ollama(bridge, hooks) as client:
        answer = await client.generate("script", QUESTION, system="Be brief.", options=options)
    return answer.response or ""


PYTHON: Mapping[str, Callable[[str, Hooks], Awaitable[str]]] = {
    "openai chat": _openai_chat,
    "openai responses": _openai_responses,
    "anthropic": _anthropic,
    "ollama chat": _ollama_chat,
    "ollama generate": _ollama_generate,
}


async def ask_with_all(bridge: str) -> list[Asked]:
    """Ask the bridge at ``bridge`` with the SDKs in JavaScript and in Python."""
    printed = await run_node("ask_and_record.mjs", bridge, QUESTION)
    asked = [Asked(**one) for one in json.loads(printed)]
    bodies: list[dict[str, Any]] = []

    async def record(request: Any) -> None:
        bodies.append(json.loads(request.content))

    for wire, ask in PYTHON.items():
        text = await ask(bridge, {"request": [record]})
        asked.append(Asked(f"{wire} (Python)", wire, bodies[-1], text))
    return asked
