"""Each client learns the truth: the answer, its end, and what went wrong.

What is seen here is what docs/clients.md tells of each client; `make clients` writes it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from bridge.verdict import Outcome
from tests.conftest import RunningBridge, eventually, script
from tests.faults.proxy import Cut, Proxy, proxying
from tests.sdk.clients.client import Client, Question, Seen
from tests.sdk.clients.parameter import each_client_but
from tests.sdk.ending_proxy import ending_proxy

pytestmark = pytest.mark.on_default_transport

CHUNKS = ["Hel", "lo, ", "w\u00f6rld \U0001f600"]
TEXT = "".join(CHUNKS)
LONG = "x" * 4096
USAGE = {"prompt_tokens": 3, "completion_tokens": 2}

Test = TypeVar("Test", bound=Callable[..., Any])

EVENT_SOURCE = "EventSource (Chromium)"
USE_CHAT = "useChat (Chromium)"
# Of the clients that speak the plain wire.
PLAIN = ["httpx-sse", "fetch, eventsource-parser", EVENT_SOURCE]
# What clients can't do, by the test, and why.
WITHOUT = {
    "test_an_answer_comes_whole": dict.fromkeys([EVENT_SOURCE, USE_CHAT], "it only streams"),
    "test_the_usage_arrives": {USE_CHAT: "its protocol has no usage"},
    "test_a_tool_is_called": dict.fromkeys(PLAIN, "the plain wire has no tools"),
    "test_a_request_is_sent_again_only_when_nothing_was_generated_for_it": dict.fromkeys(
        [*PLAIN, USE_CHAT, "ollama (Python)"], "it sends nothing again"
    ),
}

# It doesn't know ``x-should-retry``.
HEEDLESS = {"ai, @ai-sdk/openai-compatible"}

# How often a client tries again that can't be told.
OWN_RETRIES = {"llm": 2}


def each_client(test: Test) -> Test:
    """Run a test with each client, but those that can't."""
    parametrized: Test = each_client_but(WITHOUT.get(test.__name__, {}))(test)
    return parametrized


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return what keeps a cell of the table in docs/clients.md."""

    def tell(cell: str) -> None:
        record_property("cell", cell)

    return tell


Told = Callable[[str], None]


async def ask(sdk: Client, running: RunningBridge, *, stream: bool = True, **said: Any) -> Seen:
    return await sdk.ask(running.url, Question(script(**said), stream=stream))


async def ended(running: RunningBridge) -> int:
    """Wait until all streams have ended; return how many there were."""
    await eventually(lambda: not running.streams)
    return len(running.records)


FINISHES = {"stop", "end_turn", "completed"}


def is_a_stop(seen: Seen) -> bool:
    return seen.finish in FINISHES


@each_client
async def test_an_answer_is_streamed(
    patient_bridge: RunningBridge, sdk: Client, told: Told
) -> None:
    seen = await ask(sdk, patient_bridge, chunks=CHUNKS)
    assert (seen.text, seen.error) == (TEXT, None)
    assert is_a_stop(seen)
    told("yes")


@each_client
async def test_an_answer_comes_whole(
    patient_bridge: RunningBridge, sdk: Client, told: Told
) -> None:
    seen = await ask(sdk, patient_bridge, stream=False, chunks=CHUNKS, usage=USAGE)
    assert (seen.text, seen.error) == (TEXT, None)
    assert is_a_stop(seen)
    told("yes")


@each_client
async def test_the_usage_arrives(patient_bridge: RunningBridge, sdk: Client, told: Told) -> None:
    for stream in (True, False):
        seen = await ask(sdk, patient_bridge, stream=stream, chunks=CHUNKS, usage=USAGE)
        assert seen.usage == (3, 2)
    told("yes")


@each_client
async def test_an_error_before_the_first_message_is_raised(
    patient_bridge: RunningBridge, sdk: Client, told: Told
) -> None:
    failure = {"code": "RESOURCE_EXHAUSTED", "message": "no more today"}
    for stream in (True, False):
        seen = await ask(sdk, patient_bridge, stream=stream, fail=failure)
        assert seen.text == ""
        assert seen.error
        assert "no more today" in seen.message
    told(f"`{seen.error}`")


@each_client
async def test_an_error_in_mid_stream_is_raised_after_the_partial_text(
    patient_bridge: RunningBridge, sdk: Client, told: Told
) -> None:
    failure = {"code": "RESOURCE_EXHAUSTED", "message": "no more today", "after": 2}
    seen = await ask(sdk, patient_bridge, chunks=CHUNKS, fail=failure)
    assert seen.text == "Hello, "
    assert seen.finish is None
    assert seen.error
    assert "no more today" in seen.message
    told(f"`{seen.error}`")


@asynccontextmanager
async def proxied(running: RunningBridge) -> AsyncIterator[tuple[str, Proxy]]:
    async with proxying(running.url.removeprefix("http://")) as proxy:
        yield f"http://{proxy.address}", proxy


@each_client
async def test_a_connection_that_breaks_is_raised_after_the_partial_text(
    patient_bridge: RunningBridge, sdk: Client, told: Told
) -> None:
    async with proxied(patient_bridge) as (url, proxy):
        loop = asyncio.get_running_loop()

        def cut() -> None:
            # One of the clients runs in a thread of its own.
            loop.call_soon_threadsafe(proxy.cut, Cut.FIN)

        question = Question(script(text=LONG, hang_after=1), on_text=cut)
        seen = await sdk.ask(url, question)
    assert seen.text == LONG
    assert seen.finish is None
    assert seen.error
    told(f"`{seen.error}`")


@each_client
async def test_an_answer_that_broke_is_not_paid_for_again(
    patient_bridge: RunningBridge, sdk: Client, told: Told
) -> None:
    before = await ended(patient_bridge)
    async with ending_proxy(patient_bridge.url, LONG[-16:].encode()) as url:
        await sdk.ask(url, Question(script(text=LONG, hang_after=1), retries=1))
    assert await ended(patient_bridge) == before + 1
    assert patient_bridge.records[-1].outcome is Outcome.LEFT
    told("no")


@each_client
async def test_a_cut_that_a_proxy_made_an_end_has_no_reason_why_it_stopped(
    patient_bridge: RunningBridge, sdk: Client, told: Told
) -> None:
    async with ending_proxy(patient_bridge.url, LONG[-16:].encode()) as url:
        seen = await sdk.ask(url, Question(script(text=LONG, hang_after=1)))
    assert seen.text == LONG
    assert seen.finish not in FINISHES
    told(f"`{seen.error}`" if seen.error else f"`{seen.finish or 'null'}` is the reason")


@each_client
async def test_a_client_that_leaves_cancels_the_rpc(
    patient_bridge: RunningBridge, sdk: Client, told: Told
) -> None:
    before = await ended(patient_bridge)
    question = Question(script(chunks=CHUNKS[:1], hang_after=1), leave_after=1)
    seen = await sdk.ask(patient_bridge.url, question)
    assert seen.text == CHUNKS[0]
    assert await ended(patient_bridge) == before + 1
    assert patient_bridge.records[-1].outcome is Outcome.LEFT
    told("yes")


@each_client
async def test_a_tool_is_called(patient_bridge: RunningBridge, sdk: Client, told: Told) -> None:
    call = {"name": "weather", "arguments": ['{"city":', ' "Bern"}']}
    for stream in (True, False):
        said = script(tool_calls=[call], usage=USAGE)
        question = Question(said, tools=True, stream=stream)
        seen = await sdk.ask(patient_bridge.url, question)
        assert seen.error is None, seen.message
        assert seen.tool_calls == [("weather", {"city": "Bern"})]
        assert seen.finish in {"tool_calls", "tool-calls", "tool_use", "completed", "stop"}
    told("yes")


@each_client
async def test_a_request_is_sent_again_only_when_nothing_was_generated_for_it(
    patient_bridge: RunningBridge, sdk: Client, told: Told
) -> None:
    async def tries(failure: dict[str, Any]) -> int:
        before = await ended(patient_bridge)
        question = Question(script(chunks=["a"], fail=failure), retries=1, stream=False)
        assert (await sdk.ask(patient_bridge.url, question)).error
        return await ended(patient_bridge) - before

    assert await tries({"code": "UNAVAILABLE"}) == 1 + OWN_RETRIES.get(sdk.name, 1)
    heedless = sdk.name in HEEDLESS
    assert await tries({"code": "UNAVAILABLE", "after": 1}) == 1 + heedless
    told("no, always" if heedless else "yes")
