"""``EventSource`` in Chromium: names of events, and an end after which it stays closed."""

from __future__ import annotations

import json
from typing import Any

from playwright.async_api import Browser, expect

from tests.conftest import RunningBridge, script
from tests.test_docs import section

# Never closes it, and waits until the browser does.
LISTEN = """
(query) => new Promise((resolve) => {
  const events = [];
  const source = new EventSource(`/v1/stream?${new URLSearchParams(query)}`);
  for (const name of ["message", "content", "failure", "finish", "done"]) {
    source.addEventListener(name, (event) => events.push([name, event.data, event.lastEventId]));
  }
  source.onerror = () => {
    events.push(["error", source.readyState === EventSource.CLOSED ? "closed" : "connecting", ""]);
    if (source.readyState === EventSource.CLOSED) resolve(events);
  };
})
"""


async def listen(browser: Browser, running: RunningBridge, **query: Any) -> list[list[str]]:
    page = await browser.new_page()
    await page.goto(f"{running.url}/healthz")
    events: list[list[str]] = await page.evaluate(LISTEN, {"model": "script", **query})
    await page.close()
    return events


async def test_the_snippet_in_the_documents_shows_the_answer_or_how_it_ended(
    browser: Browser, bridge_server: RunningBridge
) -> None:
    source = section("docs/clients.md", "event source")
    snippet = source.removeprefix("```js\n").removesuffix("```\n")
    question = '"Name the capital of France."'
    assert question in snippet
    told = {
        "hello": "hello",
        script(text="a", fail={"code": "NOT_FOUND", "message": "gone", "after": 1}): (
            "a\nThe answer was cut: gone"
        ),
    }
    for prompt, shown in told.items():
        page = await browser.new_page()
        await page.goto(f"{bridge_server.url}/healthz")
        await page.evaluate("document.body.innerHTML = '<p id=output></p>'")
        await page.evaluate(snippet.replace(question, json.dumps(prompt)))
        await expect(page.locator("#output")).to_have_text(shown, use_inner_text=True)
        await page.close()


async def test_one_that_is_not_closed_comes_back_once_and_is_told_to_stop(
    browser: Browser, bridge_server: RunningBridge
) -> None:
    before = len(bridge_server.records)
    events = await listen(browser, bridge_server, prompt=script(text="a"))
    assert [event[:2] for event in events] == [
        ["message", '{"content":"a"}'],
        ["message", '{"content":"","finish_reason":"stop"}'],
        ["message", "[DONE]"],
        ["error", "connecting"],
        ["error", "closed"],
    ]
    assert len(bridge_server.records) == before + 1
    ids = {event[2] for event in events[:3]}
    assert ids == {bridge_server.records[-1].request_id}


async def test_names_of_events_are_dispatched(
    browser: Browser, bridge_server: RunningBridge
) -> None:
    failure = {"code": "INTERNAL", "message": "why", "after": 1}
    finished = await listen(browser, bridge_server, prompt=script(text="a"), events="named")
    failed = await listen(
        browser, bridge_server, prompt=script(text="a", fail=failure), events="named"
    )
    end = ["done", "error", "error"]
    assert [event[0] for event in finished] == ["content", "finish", *end]
    assert [event[0] for event in failed] == ["content", "failure", *end]
