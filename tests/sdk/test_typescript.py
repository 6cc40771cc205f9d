"""Whether all that the bridge sends is of the types that the packages of npm publish."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.sdk.answers import WIRES, Answered, Kind
from tests.sdk.typescript import complaints, run_node

pytestmark = pytest.mark.on_default_transport

# By wire and kind, the types of published.ts.
TYPES: Mapping[tuple[str, Kind], str] = {
    ("openai chat", Kind.EVENT): "OpenAIChatEvent",
    ("openai chat", Kind.WHOLE): "OpenAIChatWhole",
    ("openai chat", Kind.ERROR): "OpenAIError",
    ("openai responses", Kind.EVENT): "OpenAIResponsesEvent",
    ("openai responses", Kind.WHOLE): "OpenAIResponsesWhole",
    ("openai responses", Kind.ERROR): "OpenAIError",
    ("anthropic", Kind.EVENT): "AnthropicEvent",
    ("anthropic", Kind.WHOLE): "AnthropicWhole",
    ("anthropic", Kind.ERROR): "AnthropicError",
    ("ui message", Kind.EVENT): "UIMessageEvent",
    ("ollama chat", Kind.EVENT): "OllamaChat",
    ("ollama chat", Kind.WHOLE): "OllamaChat",
    ("ollama chat", Kind.ERROR): "OllamaError",
    ("ollama generate", Kind.EVENT): "OllamaGenerate",
    ("ollama generate", Kind.WHOLE): "OllamaGenerate",
    ("ollama generate", Kind.ERROR): "OllamaError",
}


async def against(answered: list[Answered]) -> list[str]:
    """Return what tsc has against each object."""
    return await complaints([(TYPES[one.wire, one.kind], one.value) for one in answered])


@pytest.fixture(scope="session")
async def complained(answered: list[Answered]) -> list[tuple[Answered, str]]:
    return list(zip(answered, await against(answered), strict=True))


@pytest.mark.parametrize("wire", [wire.name for wire in WIRES])
def test_all_that_is_sent_is_of_its_published_type(
    complained: list[tuple[Answered, str]], wire: str
) -> None:
    found = [
        f"{one.wire}, {one.scenario}, {one.kind}: {complaint}\n  {json.dumps(one.value)}"
        for one, complaint in complained
        if one.wire == wire and complaint
    ]
    assert not found, "\n".join(found)


def test_every_wire_was_seen_with_events_wholes_and_errors(answered: list[Answered]) -> None:
    assert {(one.wire, one.kind) for one in answered} == set(TYPES)


def test_every_kind_of_event_was_seen(answered: list[Answered]) -> None:
    seen: dict[str, set[str]] = {}
    for one in answered:
        if one.kind is Kind.EVENT:
            seen.setdefault(one.wire, set()).add(one.value.get("type", ""))
    assert seen["anthropic"] == {
        *("message_start", "message_delta", "message_stop"),
        *("content_block_start", "content_block_delta", "content_block_stop"),
    }
    assert seen["openai responses"] == {
        "error",
        *(f"response.{name}" for name in ("created", "in_progress", "completed", "incomplete")),
        *(f"response.{name}" for name in ("failed", "output_item.added", "output_item.done")),
        *("response.content_part.added", "response.content_part.done"),
        *("response.output_text.delta", "response.output_text.done"),
        *(f"response.function_call_arguments.{name}" for name in ("delta", "done")),
    }
    assert seen["ui message"] == {
        *("start", "start-step", "text-start", "text-delta", "text-end", "error", "finish"),
        *("finish-step", "tool-input-start", "tool-input-delta"),
        *("tool-input-available", "tool-input-error"),
    }


def excess(value: dict[str, Any]) -> None:
    value["unheard_of"] = 1


def wrong(value: dict[str, Any]) -> None:
    # What tells the kind of an event apart; or else what all of a kind have.
    name = next(name for name in ("type", "object", "done", "error") if name in value)
    value[name] = {"not": "this"}


def missing(value: dict[str, Any]) -> None:
    name = next(name for name in ("type", "id", "model", "error") if name in value)
    del value[name]


def excess_within(value: dict[str, Any]) -> None:
    # What a tool is given may have any fields.
    others = [found for name, found in value.items() if name != "input"]
    lists = [one for found in others if isinstance(found, list) for one in found]
    inner = next((one for one in (*others, *lists) if isinstance(one, dict)), value)
    inner["unheard_of"] = 1


@pytest.mark.parametrize("spoil", [excess, wrong, missing, excess_within])
async def test_a_field_that_is_wrong_missing_or_excess_is_complained_of(
    answered: list[Answered], spoil: Callable[[dict[str, Any]], None]
) -> None:
    spoiled = copy.deepcopy(answered)
    for one in spoiled:
        spoil(one.value)
    found = zip(spoiled, await against(spoiled), strict=True)
    assert [one for one, complaint in found if not complaint] == []


async def against_chunks(values: list[dict[str, Any]]) -> list[str | None]:
    found = json.loads(await run_node("ui_message_chunks.mjs", given=json.dumps(values)))
    assert len(found) == len(values)
    return list(found)


async def test_chunks_of_a_ui_message_fit_the_schema_of_the_ai_sdk(
    answered: list[Answered],
) -> None:
    chunks = [one for one in answered if one.wire == "ui message"]
    found = zip(chunks, await against_chunks([one.value for one in chunks]), strict=True)
    assert [(one, complaint) for one, complaint in found if complaint] == []


# It takes excess fields, unlike the type.
@pytest.mark.parametrize("spoil", [wrong, missing])
async def test_the_schema_of_the_ai_sdk_refuses_other_chunks(
    answered: list[Answered], spoil: Callable[[dict[str, Any]], None]
) -> None:
    chunks = [copy.deepcopy(one.value) for one in answered if one.wire == "ui message"]
    for chunk in chunks:
        spoil(chunk)
    assert None not in await against_chunks(chunks)
