"""The page shows the same, whatever wire it speaks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

import backend.server
from bridge.settings import Settings
from bridge.status import Status
from bridge.verdict import Outcome
from protos.completion.v1.completion_pb2 import Role
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat
from tests.browser.demo import BLUE, DemoBackend, serving_demo
from tests.browser.test_failures import AGAIN, CUT, NO_USE
from tests.browser.texts import HOSTILE
from tests.browser.wires import FAILURES, WIRES, Wire, each_wire
from tests.conftest import RunningBridge, eventually, serving_bridge
from tests.faults.proxy import Cut, proxying
from tests.sdk.ending_proxy import ending_proxy

USAGE = {"prompt_tokens": 2, "completion_tokens": 21}
LONG = "x" * 4096


@pytest.fixture
async def demo(open_chat: OpenChat) -> AsyncIterator[tuple[DemoBackend, Chat]]:
    """Open the page before a backend that keeps what it was asked."""
    async with (
        serving_demo() as (demo, address),
        serving_bridge(Settings(backend=address, shutdown_grace=0)) as running,
    ):
        chat = await open_chat(running.url)
        await expect(chat.model).to_have_value("small")
        yield demo, chat


async def test_the_wires_to_choose_from_begin_with_the_plain_one(chat: Chat) -> None:
    await chat.settings.click()
    await expect(chat.wire).to_have_value("Plain")
    await expect(chat.wire.locator("option")).to_have_text([wire.name for wire in WIRES])


@each_wire
async def test_no_character_of_an_answer_is_lost(chat: Chat, wire: Wire) -> None:
    await chat.speak(wire.name)
    async with chat.page.expect_request(lambda request: request.method == "POST") as sent:
        await chat.answered(chunks=HOSTILE)
    assert urlsplit((await sent.value).url).path == wire.path
    assert await chat.text(chat.answers) == "".join(HOSTILE)
    await expect(chat.failure).to_have_count(0)
    await expect(chat.retry).to_be_hidden()


@each_wire
async def test_an_answer_appears_as_it_comes(chat: Chat, wire: Wire) -> None:
    await chat.speak(wire.name)
    await chat.ask(text="word ", count=9, hang_after=3)
    await expect(chat.answers).to_have_text("word word word")
    await expect(chat.stop).to_be_visible()


@each_wire
async def test_the_speed_is_that_of_tokens_if_the_usage_is_told(chat: Chat, wire: Wire) -> None:
    await chat.speak(wire.name)
    await chat.answered(text="word ", count=5, interval_ms=100, usage=USAGE)
    unit, count = ("token", 21) if wire.usage else ("message", 5)
    rate = rf"[\d.]+ {unit}s/s"
    await expect(chat.timing).to_have_text(
        re.compile(rf"^First {unit} after 0\.\d\d s · {count} {unit}s · {rate}$")
    )


@each_wire
async def test_messages_are_counted_if_the_backend_tells_no_usage(chat: Chat, wire: Wire) -> None:
    await chat.speak(wire.name)
    await chat.answered(text="word ", count=5)
    await expect(chat.timing).to_contain_text(" · 5 messages")


@each_wire
async def test_why_an_answer_ended(chat: Chat, wire: Wire) -> None:
    await chat.speak(wire.name)
    words = {
        "length": "ended at the limit of tokens",
        "content_filter": "the provider withheld the rest",
        "tool_calls": "the model asked for a tool",
    }
    for reason in words.keys() & wire.reasons:
        call = {"tool_calls": [{"name": "look"}]} if reason == "tool_calls" else {}
        await chat.answered(text="word", finish_reason=reason, usage=USAGE, **call)
        await expect(chat.timing.last).to_contain_text(words[reason])


@each_wire
async def test_the_whole_conversation_is_carried(
    demo: tuple[DemoBackend, Chat], wire: Wire
) -> None:
    backend, chat = demo
    await chat.speak(wire.name)
    await chat.answered("Why is the sky blue?")
    assert await chat.text(chat.answers) == "".join(BLUE)
    await chat.answered("Is it?")
    assert [(message.role, message.content) for message in backend.asked[1].messages] == [
        (Role.ROLE_USER, "Why is the sky blue?"),
        (Role.ROLE_ASSISTANT, "".join(BLUE)),
        (Role.ROLE_USER, "Is it?"),
    ]


@each_wire
async def test_the_settings_are_carried(demo: tuple[DemoBackend, Chat], wire: Wire) -> None:
    backend, chat = demo
    await chat.speak(wire.name)
    await chat.answered("Why is the sky blue?")
    await chat.model.select_option("large")
    await chat.temperature.fill("0.5")
    await chat.max_tokens.fill("7")
    await chat.answered("Is it?")
    unset, chosen = backend.asked
    assert unset.model == "small"
    assert not unset.HasField("temperature")
    assert not unset.HasField("max_tokens")
    assert (chosen.model, chosen.temperature, chosen.max_tokens) == ("large", 0.5, 7)


async def meanings(chat: Chat) -> dict[str, str]:
    """Return what the page calls each status."""
    titles: dict[str, str] = await chat.page.evaluate(
        """async (codes) => {
            const { describe } = await import("/web/failure.js");
            const { StreamError } = await import("/web/stream.js");
            const title = (code) => describe(new StreamError({ message: "", code })).title;
            return Object.fromEntries(codes.map((code) => [code, title(code)]));
        }""",
        [status.name for status in FAILURES],
    )
    return titles


async def assert_tells(chat: Chat, status: Status, known: Status | None, title: str) -> None:
    """See whether the last failure is ``status``, of which the page knows what it can."""
    failure = chat.failure.last
    await expect(failure.locator(".title")).to_have_text(title)
    said = "The request failed. Request id:" if status.private else "Because."
    await expect(failure.locator("q")).to_contain_text(said)
    again = known is None or known.retryable
    await expect(failure.locator(".advice")).to_have_text(AGAIN if again else NO_USE)
    await expect(chat.retry.last).to_have_class("retry primary" if again else "retry")


@each_wire
async def test_an_error_before_the_first_message(chat: Chat, wire: Wire) -> None:
    await chat.speak(wire.name)
    titles = await meanings(chat)
    for status in FAILURES:
        await chat.answered(fail={"code": status.name, "message": "Because."})
        known = wire.early[status]
        unknown = f"The server refused with HTTP status {status.http}."
        await assert_tells(chat, status, known, titles[known.name] if known else unknown)
    await expect(chat.answers.last).to_be_empty()
    # Chromium tells of an HTTP status on the console. The plain wire has none.
    assert len(chat.problems) == (0 if wire.name == "Plain" else len(FAILURES))
    chat.problems.clear()


@each_wire
async def test_an_error_in_mid_stream_leaves_what_has_come(chat: Chat, wire: Wire) -> None:
    await chat.speak(wire.name)
    titles = await meanings(chat)
    for status in FAILURES:
        fail = {"code": status.name, "message": "Because.", "after": 3}
        await chat.answered(text="word ", count=5, fail=fail)
        known = wire.late[status]
        await assert_tells(
            chat, status, known, titles[known.name] if known else "The answer failed."
        )
        assert await chat.text(chat.answers.last) == "word " * 3


@each_wire
async def test_a_request_that_is_refused(chat: Chat, wire: Wire) -> None:
    await chat.speak(wire.name)
    await chat.temperature.evaluate("input => input.removeAttribute('max')")
    await chat.temperature.fill("9")
    await chat.answered("Hello?")
    titles = await meanings(chat)
    await expect(chat.failure).to_contain_text(titles["INVALID_ARGUMENT"])
    await expect(chat.failure).to_contain_text("Input should be less than or equal")
    await expect(chat.failure).to_contain_text(NO_USE)
    assert len(chat.problems) == 1
    chat.problems.clear()


async def assert_is_cut(chat: Chat, text: str) -> None:
    await chat.ended()
    assert await chat.text(chat.answers) == text
    await expect(chat.failure).to_contain_text(CUT)
    await expect(chat.failure).to_contain_text(AGAIN)
    await expect(chat.retry).to_be_visible()


@pytest.mark.parametrize("how", Cut)
@each_wire
async def test_a_connection_that_breaks_is_a_cut(
    open_chat: OpenChat, bridge_server: RunningBridge, wire: Wire, how: Cut
) -> None:
    async with proxying(bridge_server.url.removeprefix("http://")) as proxy:
        chat = await open_chat(f"http://{proxy.address}")
        await chat.speak(wire.name)
        await chat.ask(text="word ", count=5, hang_after=3)
        await expect(chat.answers).to_have_text("word word word")
        proxy.cut(how)
        await assert_is_cut(chat, "word " * 3)
        chat.problems.clear()  # Chromium tells of it on the console


@each_wire
async def test_an_end_without_the_last_event_is_a_cut(
    open_chat: OpenChat, bridge_server: RunningBridge, wire: Wire
) -> None:
    async with (
        ending_proxy(bridge_server.url, LONG[-16:].encode()) as ending,
        proxying(bridge_server.url.removeprefix("http://")) as proxy,
    ):
        chat = await open_chat(f"http://{proxy.address}")
        await chat.speak(wire.name)
        # The page has come from the bridge itself; what comes now is ended by a proxy.
        proxy.target = ending.removeprefix("http://")
        proxy.cut(Cut.FIN)
        await chat.ask(text=LONG, count=2, hang_after=1)
        await assert_is_cut(chat, LONG)


@pytest.mark.parametrize("messages", [0, 3])
@each_wire
async def test_stopping_ends_the_rpc(
    chat: Chat,
    bridge_server: RunningBridge,
    backend_server: backend.server.Server,
    wire: Wire,
    messages: int,
) -> None:
    await chat.speak(wire.name)
    known = len(bridge_server.records)
    await chat.ask(text="word ", count=9, hang_after=messages)
    await expect(chat.answers).to_have_text("word " * messages)
    await eventually(lambda: backend_server.open_calls == 1)
    await chat.stop.click()
    await eventually(lambda: backend_server.open_calls == 0)
    await eventually(lambda: len(bridge_server.records) == known + 1)
    record = bridge_server.records[-1]
    assert (record.outcome, record.messages) == (Outcome.LEFT, messages)
    await expect(chat.timing).to_contain_text("stopped")
    await expect(chat.failure).to_have_count(0)


async def test_the_wire_can_change_within_a_conversation(
    demo: tuple[DemoBackend, Chat],
) -> None:
    backend, chat = demo
    await chat.settings.click()
    for wire in WIRES:
        await chat.wire.select_option(wire.name)
        await chat.answered("Why is the sky blue?")
    await expect(chat.failure).to_have_count(0)
    assert [len(request.messages) for request in backend.asked] == [1, 3, 5, 7, 9, 11]
