"""What the bridge answers on each wire, to questions that make it say all that it can."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx

from tests.conftest import script

USAGE = {"prompt_tokens": 3, "completion_tokens": 2}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": "Tells the weather.", "parameters": PARAMETERS}
CALLS = [
    {"id": "call_a", "name": "weather", "arguments": ['{"city":', ' "Bern"}']},
    {"id": "call_b", "name": "weather", "arguments": ["{}"]},
]
STATUSES = [
    *("INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "ABORTED"),
    *("RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "UNAVAILABLE", "INTERNAL"),
]


class Kind(StrEnum):
    """What a JSON object is in an answer."""

    EVENT = "event"
    WHOLE = "whole"
    ERROR = "error"


@dataclass(frozen=True)
class Scenario:
    """A question, whatever the wire.

    Attributes:
        directives: What the script engine does.
        tools: Whether it may ask for tools.
        logprobs: Whether the probabilities of tokens are asked for.
        choices: How many answers are asked for.
    """

    directives: Mapping[str, Any]
    tools: bool = False
    logprobs: bool = False
    choices: int = 1


def _failing(code: str, after: int, **directives: Any) -> Scenario:
    fail = {"code": code, "message": "no more today", "after": after}
    return Scenario({"chunks": ["Hel", "lo"], "fail": fail, **directives})


SCENARIOS: Mapping[str, Scenario] = {
    "text": Scenario({"chunks": ["Hel", "lo"], "usage": USAGE}),
    "no usage": Scenario({"text": "Hello"}),
    "nothing": Scenario({"chunks": [], "finish_reason": None}),
    **{
        f"stopped by {reason}": Scenario({"text": "a", "finish_reason": reason})
        for reason in ("stop", "length", "content_filter", "tool_calls")
    },
    "tools": Scenario({"tool_calls": CALLS, "usage": USAGE}, tools=True),
    "text and tools": Scenario({"text": "Wait.", "tool_calls": CALLS}, tools=True),
    "probabilities": Scenario({"chunks": ["Hé", "lo"], "logprobs": [-0.5, -1]}, logprobs=True),
    "choices": Scenario({"chunks": ["Hel", "lo"], "usage": USAGE}, choices=3),
    **{f"{code} at first": _failing(code, 0) for code in STATUSES},
    **{f"{code} later": _failing(code, 1) for code in STATUSES},
    "failed with nothing but usage": _failing("UNAVAILABLE", 0, usage=USAGE),
    "failed in a call": Scenario(
        {"text": "a", "tool_calls": CALLS, "fail": {"code": "INTERNAL", "after": 2}}, tools=True
    ),
    "arguments that are no JSON": Scenario(
        {"tool_calls": [{"name": "weather", "arguments": ["{"]}]}, tools=True
    ),
    "invalid": Scenario({"unknown": 1, "chunks": 1}),
}

# Requests that no wire takes.
REFUSED: Mapping[str, Mapping[str, Any]] = {
    "no messages": {"json": {"model": "script"}},
    "no JSON": {"content": b"{", "headers": {"content-type": "application/json"}},
    "not declared as JSON": {"content": b"{}", "headers": {"content-type": "text/plain"}},
}


@dataclass(frozen=True)
class Wire:
    """How a question is asked, and its answer read.

    Attributes:
        name: The API.
        path: Where.
        body: Returns the body of a request, with or without ``stream``.
        is_error: Whether an object is the API's error.
        whole: Whether it also answers as a whole.
    """

    name: str
    path: str
    body: Callable[[Scenario, bool], dict[str, Any]]
    is_error: Callable[[dict[str, Any]], bool] = field(default=lambda value: "error" in value)
    whole: bool = True


@dataclass(frozen=True)
class Answered:
    """An object that the bridge has sent."""

    wire: str
    scenario: str
    kind: Kind
    value: dict[str, Any]


def _messages(scenario: Scenario) -> list[dict[str, Any]]:
    return [{"role": "user", "content": script(**scenario.directives)}]


def _openai_chat(scenario: Scenario, stream: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "script", "messages": _messages(scenario), "stream": stream}
    if stream:
        body["stream_options"] = {"include_usage": True}
    if scenario.tools:
        body["tools"] = [{"type": "function", "function": FUNCTION}]
    if scenario.logprobs:
        body |= {"logprobs": True, "top_logprobs": 1}
    return body | ({"n": scenario.choices} if scenario.choices > 1 else {})


def _openai_responses(scenario: Scenario, stream: bool) -> dict[str, Any]:
    told = script(**scenario.directives)
    body: dict[str, Any] = {"model": "script", "input": told, "stream": stream}
    if scenario.tools:
        body["tools"] = [{"type": "function", **FUNCTION, "strict": False}]
        body["tool_choice"] = {"type": "function", "name": "weather"}
    if scenario.logprobs:
        body |= {"include": ["message.output_text.logprobs"], "top_logprobs": 1}
    return body


def _anthropic(scenario: Scenario, stream: bool) -> dict[str, Any]:
    body = {"model": "script", "max_tokens": 100, "messages": _messages(scenario), "stream": stream}
    if scenario.tools:
        body["tools"] = [{"name": "weather", "input_schema": PARAMETERS}]
    return body


def _ui_message(scenario: Scenario, stream: bool) -> dict[str, Any]:
    part = {"type": "text", "text": script(**scenario.directives)}
    message = {"id": "1", "role": "user", "parts": [part]}
    return {"id": "a", "model": "script", "messages": [message], "trigger": "submit-message"}


def _ollama_chat(scenario: Scenario, stream: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "script", "messages": _messages(scenario), "stream": stream}
    if scenario.tools:
        body["tools"] = [{"type": "function", "function": FUNCTION}]
    return body


def _ollama_generate(scenario: Scenario, stream: bool) -> dict[str, Any]:
    return {"model": "script", "prompt": script(**scenario.directives), "stream": stream}


WIRES = [
    Wire("openai chat", "/openai/v1/chat/completions", _openai_chat),
    Wire(
        "openai responses",
        "/openai/v1/responses",
        _openai_responses,
        # A response has an error, too, and so has the event that SDKs raise.
        is_error=lambda value: value.keys() == {"error"},
    ),
    Wire("anthropic", "/anthropic/v1/messages", _anthropic),
    Wire("ui message", "/ui-message/api/chat", _ui_message, whole=False),
    Wire("ollama chat", "/ollama/api/chat", _ollama_chat),
    Wire("ollama generate", "/ollama/api/generate", _ollama_generate),
]


def objects(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a response, be it a stream or one object."""
    media_type = response.headers["content-type"].partition(";")[0]
    if media_type == "text/event-stream":
        data = [line[6:] for line in response.text.split("\n") if line.startswith("data: ")]
        yield from (json.loads(found) for found in data if found != "[DONE]")
    elif media_type != "text/plain":
        yield from map(json.loads, response.text.splitlines())


async def answers(http: httpx.AsyncClient, wire: Wire) -> list[Answered]:
    """Ask all questions on ``wire``, each with a stream and as a whole if it has both."""
    found: list[Answered] = []

    async def ask(scenario: str, kind: Kind, **request: Any) -> None:
        for value in objects(await http.post(wire.path, **request)):
            shown = Kind.ERROR if wire.is_error(value) else kind
            found.append(Answered(wire.name, scenario, shown, value))

    for name, scenario in SCENARIOS.items():
        await ask(name, Kind.EVENT, json=wire.body(scenario, True))
        if wire.whole:
            await ask(name, Kind.WHOLE, json=wire.body(scenario, False))
    for name, request in REFUSED.items():
        await ask(name, Kind.ERROR, **request)
    return found
