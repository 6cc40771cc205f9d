"""The accounting record of a stream, and the log line and the hook that it goes to."""

import httpx
import pytest
from structlog.testing import capture_logs

from bridge.status import Status
from bridge.telemetry.record import (
    StreamAccount,
    StreamRecord,
    Usage,
    finish_reason_name,
    publish,
)
from bridge.upstream import RpcError
from bridge.verdict import Outcome, Verdict
from protos.completion.v1.completion_pb2 import FinishReason, StreamCompletionResponse
from tests.conftest import RunningBridge, ask, http_client, on_each_transport, script
from tests.processes import server_process

PATH = "/v1/chat/completions"


@on_each_transport
async def test_the_record_of_a_finished_stream_tells_all(
    http: httpx.AsyncClient, bridge_server: RunningBridge
) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    content = script(chunks=["ab", "\U0001f600"], first_ms=20, interval_ms=20, usage=usage)
    await http.post(PATH, json=ask(content), headers={"x-request-id": "told"})
    record = await bridge_server.record("told")
    assert record.model == "script"
    assert record.outcome is Outcome.FINISHED
    assert (record.code, record.error) == (None, "")
    assert record.messages == 3
    assert record.characters == 3
    assert record.text == "ab\U0001f600"
    assert record.finish_reason == "stop"
    assert record.usage == Usage(1, 2, 3)
    assert record.first_message_seconds is not None
    assert 0.02 <= record.first_message_seconds < record.duration_seconds
    assert record.duration_seconds >= 0.04


@on_each_transport
async def test_a_refused_request_has_no_record(
    http: httpx.AsyncClient, bridge_server: RunningBridge
) -> None:
    before = len(bridge_server.records)
    assert (await http.post(PATH, json={"messages": []})).status_code == 422
    assert len(bridge_server.records) == before


@on_each_transport
async def test_each_stream_is_one_log_line_without_its_text() -> None:
    async with (
        server_process("backend", env={"BACKEND_MODEL": "script"}) as backend,
        server_process("bridge", "--backend", await backend.address()) as bridge,
        http_client(f"http://{await bridge.address()}") as http,
    ):
        fail = {"code": "INTERNAL", "message": "a secret of ours", "after": 1}
        headers = {"x-request-id": "failed"}
        content = script(chunks=["private"], fail=fail)
        response = await http.post(PATH, json=ask(content), headers=headers)
        address = await backend.address()
        assert "a secret of ours" not in response.text
        logged = await bridge.logged("stream ended", where=lambda r: r["request_id"] == "failed")
        await bridge.stop()
    lines = [r for r in bridge.records if r["event"] == "stream ended"]
    assert lines == [logged]
    del logged["timestamp"], logged["first_message_seconds"], logged["duration_seconds"]
    assert logged == {
        "event": "stream ended",
        "level": "warning",
        "request_id": "failed",
        "method": "/completion.v1.CompletionService/StreamCompletion",
        "model": "script",
        "backend": address,
        "outcome": "failed",
        "code": "INTERNAL",
        "error": "a secret of ours",
        "messages": 1,
        "characters": 7,
        "finish_reason": None,
        "usage": None,
        "retries": 0,
    }
    assert not any("private" in str(record) for record in bridge.records)
    assert bridge.other_output == []


def ended(outcome: Outcome = Outcome.FINISHED, error: RpcError | None = None) -> StreamRecord:
    account = StreamAccount("the-request", "asked-for", keep_answer=False)
    account.add([StreamCompletionResponse(text="ab", model="given")], account.started)
    return account.close(Verdict(outcome, error))


def test_the_text_is_kept_only_when_somebody_wants_it() -> None:
    assert ended().text == ""
    assert ended().characters == 2


def test_the_model_that_answered_is_named_rather_than_the_one_asked_for() -> None:
    assert ended().model == "given"
    assert StreamAccount("r", "asked-for", keep_answer=False).close(
        Verdict(Outcome.LEFT)
    ).model == ("asked-for")


def test_the_record_has_the_transport_s_cause() -> None:
    error = RpcError(Status.UNAVAILABLE, cause="ipv4:127.0.0.1:1: refused")
    assert ended(Outcome.FAILED, error).error == "ipv4:127.0.0.1:1: refused"


def test_a_hook_that_raises_is_logged() -> None:
    def hook(record: StreamRecord) -> None:
        raise ZeroDivisionError

    with capture_logs() as logged:
        publish(ended(), hook)
    assert [line["event"] for line in logged] == ["stream ended", "the stream hook raised"]
    assert logged[1]["exc_info"] is True


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (FinishReason.FINISH_REASON_STOP, "stop"),
        (FinishReason.FINISH_REASON_LENGTH, "length"),
        (FinishReason.FINISH_REASON_CONTENT_FILTER, "content_filter"),
        (FinishReason.FINISH_REASON_TOOL_CALLS, "tool_calls"),
        (99, "unknown"),
    ],
)
def test_finish_reasons_have_the_names_of_the_wire(
    reason: FinishReason.ValueType, name: str
) -> None:
    assert finish_reason_name(reason) == name
