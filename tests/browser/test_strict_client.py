"""The strict client of the plain wire, in Node, through a real bridge and a real backend."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser.node import node
from tests.browser.texts import HOSTILE
from tests.conftest import RunningBridge, ask, script


async def read(running: RunningBridge, **directives: Any) -> Any:
    url = f"{running.url}/v1/chat/completions"
    result = await node("strict_client.mjs", {"url": url, "body": ask(script(**directives))})
    assert result["rest"] == ""
    assert result["broken"] is None
    assert result["frames"].count("[DONE]") == 1
    assert result["frames"][-1] == "[DONE]"
    return result


async def test_a_whole_answer(bridge_server: RunningBridge) -> None:
    usage = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    result = await read(
        bridge_server, chunks=["One ", "two ", "three."], finish_reason="length", usage=usage
    )
    assert (result["text"], result["error"], result["done"]) == ("One two three.", None, True)
    assert [json.loads(frame) for frame in result["frames"][:-1]] == [
        {"content": "One "},
        {"content": "two "},
        {"content": "three."},
        {"content": "", "finish_reason": "length", "usage": usage},
    ]


@pytest.mark.parametrize("messages", [0, 1, 5])
async def test_an_error_after(messages: int, bridge_server: RunningBridge) -> None:
    fail = {"code": "RESOURCE_EXHAUSTED", "message": "No room left.", "after": messages}
    result = await read(bridge_server, text="ab", count=messages, fail=fail)
    assert (result["text"], result["error"]) == ("ab" * messages, "No room left.")
    assert json.loads(result["frames"][-2]) == {
        "error": "No room left.",
        "code": "RESOURCE_EXHAUSTED",
        "retryable": True,
    }
    assert len(result["frames"]) == messages + 2


async def test_a_text_that_looks_like_the_wire(bridge_server: RunningBridge) -> None:
    result = await read(bridge_server, chunks=HOSTILE)
    assert (result["text"], result["error"]) == ("".join(HOSTILE), None)


async def test_each_hostile_text_is_one_frame(bridge_server: RunningBridge) -> None:
    result = await read(bridge_server, chunks=HOSTILE, finish_reason=None)
    assert [json.loads(frame)["content"] for frame in result["frames"][:-1]] == HOSTILE


async def test_an_empty_answer(bridge_server: RunningBridge) -> None:
    result = await read(bridge_server, chunks=[], finish_reason=None)
    assert (result["text"], result["error"], result["frames"]) == ("", None, ["[DONE]"])
