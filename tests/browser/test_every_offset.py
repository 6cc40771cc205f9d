"""Responses that the network splits, or cuts, at every byte."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.browser.node import node
from tests.browser.replay import (
    END_OF_HEAD,
    Replay,
    capture,
    close_delimited,
    content,
    serving_replay,
)
from tests.conftest import DONE, RunningBridge, ask, script

Results = Sequence[dict[str, Any]]
Run = Callable[[Replay, str, range], Awaitable[Results]]

CHUNKS = ["🌉é\u2028\u2029\x00\r", "\r\n\r\ndata: [DONE]\n\n"]
TEXT = "".join(CHUNKS)
WHOLE = script(chunks=CHUNKS)
FAILED = script(
    chunks=["🌉\r\n\n", "data: "], fail={"code": "ABORTED", "message": "é\n\n🌉", "after": 2}
)

# A client need not read what follows.
VERDICT = re.compile(rb'data: (\{"error":.*|\[DONE\])\n\n')


def which(replay: Replay, part: str, offsets: range) -> dict[str, Any]:
    return {"base": replay.url, "part": part, "first": offsets[0], "last": offsets[-1]}


async def strict_client_in_node(replay: Replay, part: str, offsets: range) -> Results:
    results: Results = await node("every_offset_strict.mjs", which(replay, part, offsets))
    return results


@pytest.fixture(params=["strict client in Node", "page's function in Chromium"])
async def run(request: pytest.FixtureRequest, browser: Browser) -> Run:
    async def page_function_in_chromium(replay: Replay, part: str, offsets: range) -> Results:
        async with await browser.new_page() as page:
            await page.goto(replay.url)
            results: Results = await page.evaluate(
                """async (which) => {
                    const { run } = await import("/every_offset_page.mjs");
                    return run(which);
                }""",
                which(replay, part, offsets),
            )
            return results

    return strict_client_in_node if "Node" in request.param else page_function_in_chromium


@pytest.mark.parametrize(
    ("question", "text", "error"),
    [(WHOLE, TEXT, None), (FAILED, "🌉\r\n\ndata: ", "é\n\n🌉")],
    ids=["whole", "failed"],
)
async def test_a_split_changes_nothing(
    run: Run, bridge_server: RunningBridge, question: str, text: str, error: str | None
) -> None:
    response = await capture(bridge_server.url, ask(question))
    verdict = VERDICT.search(content(response))
    assert verdict
    offsets = range(len(response))
    async with serving_replay(response) as replay:
        results = await run(replay, "split", offsets)
    for offset, result in zip(offsets, results, strict=True):
        assert (result["text"], result["error"]) == (text, error), offset
        assert result["broken"] is None, offset
        if 0 < len(content(response[:offset])) < verdict.end():
            assert result["reads"] >= 2, offset


@pytest.mark.parametrize("delimited", ["by chunks", "by the end of the connection"])
async def test_a_cut_answer_is_never_taken_for_a_whole_one(
    run: Run, bridge_server: RunningBridge, delimited: str
) -> None:
    response = await capture(bridge_server.url, ask(WHOLE))
    if delimited != "by chunks":
        response = close_delimited(response)
    offsets = range(response.index(END_OF_HEAD) + len(END_OF_HEAD), len(response) + 1)
    async with serving_replay(response) as replay:
        results = await run(replay, "cut", offsets)
    for offset, result in zip(offsets, results, strict=True):
        assert TEXT.startswith(result["text"]), offset
        # What has come is lost to a browser when the connection breaks before it has been read.
        assert not result["done"] or content(response[:offset]).endswith(DONE), offset
    assert (results[-1]["done"], results[-1]["text"]) == (True, TEXT)
