"""Whatever a backend sends and however it ends, each SDK's parser finds just that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.status import Status
from tests.conftest import RunningBridge, script
from tests.sdk import test_anthropic_python, test_openai_python

# A text, and a finish reason or the name of a status.
Found = tuple[str, str]
Read = Callable[[RunningBridge, dict[str, Any]], Awaitable[Found]]

FINISHES = ["stop", "length", "content_filter"]
FAILURES = [status for status in Status if status is not Status.OK]


async def read_openai(running: RunningBridge, directives: dict[str, Any]) -> Found:
    text, reason = "", ""
    async with test_openai_python.client_of(running) as client:
        try:
            stream = await client.chat.completions.create(
                **test_openai_python.asking(script(**directives)), stream=True
            )
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
                reason = chunk.choices[0].finish_reason or reason
        except openai.APIError as error:
            reason = f"error {error.message}"
    return text, reason


async def read_anthropic(running: RunningBridge, directives: dict[str, Any]) -> Found:
    text, reason = "", ""
    reasons = {"end_turn": "stop", "max_tokens": "length", "refusal": "content_filter"}
    async with test_anthropic_python.client_of(running) as client:
        try:
            stream = await client.messages.create(
                **test_anthropic_python.asking(script(**directives)), stream=True
            )
            async for event in stream:
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    text += event.delta.text
                elif event.type == "message_delta":
                    reason = reasons[event.delta.stop_reason or ""]
        except anthropic.APIStatusError as error:
            body: Any = error.body
            reason = f"error {body['error']['message']}"
    return text, reason


@pytest.mark.parametrize("read", [read_openai, read_anthropic])
@given(
    chunks=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8),
    finish=st.sampled_from(FINISHES),
    failure=st.none() | st.sampled_from(FAILURES),
    after=st.integers(0, 8),
)
@settings(max_examples=60, deadline=None)
async def test_what_is_put_together_and_the_end_are_the_backend_s(
    patient_bridge: RunningBridge,
    read: Read,
    chunks: list[str],
    finish: str,
    failure: Status | None,
    after: int,
) -> None:
    directives: dict[str, Any]
    if failure is None:
        directives = {"chunks": chunks, "finish_reason": finish}
        expected = "".join(chunks), finish
    else:
        after = min(after, len(chunks))
        told = {"code": failure.name, "message": "why", "after": after}
        directives = {"chunks": chunks, "fail": told}
        expected = "".join(chunks[:after]), "error"
    text, reason = await read(patient_bridge, directives)
    assert text == expected[0]
    if failure is None:
        assert reason == expected[1]
    else:
        assert reason.startswith("error ")
        assert ("The request failed." if failure.private else "why") in reason
