"""Whatever a backend sends and however it ends, each SDK's own parser finds just that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.status import Status
from tests.conftest import script
from tests.sdk.clients.client import Client, Question
from tests.sdk.clients.parameter import each_client_but

pytestmark = pytest.mark.on_default_transport

# What the clients call each reason why a model stopped.
FINISHES = {
    "stop": {"stop", "completed", "end_turn"},
    "length": {"length", "max_output_tokens", "max_tokens"},
    "content_filter": {"content_filter", "content-filter", "refusal"},
}
FAILURES = [status for status in Status if status is not Status.OK]

# A process a question; its parser is that of the package openai.
SLOW = {"llm"}

any_stream = given(
    chunks=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8),
    finish=st.sampled_from([*FINISHES]),
    failure=st.none() | st.sampled_from(FAILURES),
    after=st.integers(0, 8),
)


@each_client_but(SLOW)
@any_stream
@settings(max_examples=40, deadline=None)
async def test_what_is_put_together_and_the_end_are_the_backend_s(
    patient_url: str,
    sdk: Client,
    chunks: list[str],
    finish: str,
    failure: Status | None,
    after: int,
) -> None:
    directives: dict[str, Any] = {"chunks": chunks, "finish_reason": finish}
    if failure is not None:
        after = min(after, len(chunks))
        told = {"code": failure.name, "message": "why", "after": after}
        directives = {"chunks": chunks, "fail": told}
        chunks = chunks[:after]
    seen = await sdk.ask(patient_url, Question(script(**directives)))
    assert seen.text == "".join(chunks)
    if failure is None:
        assert seen.error is None, seen.message
        assert seen.finish in FINISHES[finish]
    else:
        assert seen.error
        assert seen.finish is None
        assert ("The request failed." if failure.private else "why") in seen.message
