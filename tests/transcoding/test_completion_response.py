"""How responses of other protos are read, and what of them can't be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from bridge.status import Status
from bridge.transcoding.completions import CompletionsError, read
from bridge.transcoding.schema import Schema
from bridge.upstream.call import RpcError
from tests.transcoding.backend import schema_of
from tests.transcoding.conftest import Compile

PROTO = """
package p;
import "google/protobuf/struct.proto";
message Ask { string prompt = 1; }
enum Reason { GOING_ON = 0; END = 1; LIMIT = 2; CRASH = 3; }
message Part { string text = 1; bytes raw = 2; Call call = 3; repeated string lines = 4; }
message Choice { repeated Part parts = 1; Reason reason = 2; Part delta = 3; }
message Call {
  string id = 1;
  string name = 2;
  string arguments = 3;
  google.protobuf.Struct object = 4;
  int32 number = 5;
}
message Counts { int64 read = 1; uint32 written = 2; int32 all = 3; }
message Problem { string message = 1; int32 code = 2; }
message Answer {
  string text = 1;
  bytes raw = 2;
  repeated Choice choices = 3;
  string reason = 4;
  bool done = 5;
  Counts counts = 6;
  Problem problem = 7;
  string model = 8;
  repeated Call calls = 9;
  map<string, string> labels = 10;
  repeated string texts = 11;
  double score = 12;
}
service S { rpc M(Ask) returns (stream Answer); }
"""


@pytest.fixture(scope="module")
def schema(compile_protos: Compile) -> Schema:
    return schema_of(compile_protos(p=PROTO))


class Stream:
    """Reads the messages of one stream."""

    def __init__(self, schema: Schema, folder: Path, form: str) -> None:
        path = folder / "p.yaml"
        entry = {"service": "p.S", "method": "M", "request": {"prompt": "$prompt"}}
        entry["response"] = {"text": "text", **yaml.safe_load(form)}
        path.write_text(yaml.safe_dump({"completions": entry}))
        self.method = read(path, schema).of("").method()
        self._response = GetMessageClass(schema.services["p.S"][0].response)

    def text(self, **fields: Any) -> str:
        return self.method.parse(self._response(**fields).SerializeToString()).text

    def beside_text(self, **fields: Any) -> Any:
        answer = self.method.parse(self._response(**fields).SerializeToString())
        found = MessageToDict(answer, preserving_proto_field_name=True)
        return {name: found[name] for name in found if name not in {"index", "text"}}


@pytest.mark.parametrize(
    ("path", "fields", "text"),
    [
        ("text", {"text": "a"}, "a"),
        ("text", {}, ""),
        ("texts[1]", {"texts": ["a", "b"]}, "b"),
        ("texts[1]", {"texts": ["a"]}, ""),
        ("texts[*]", {"texts": ["a", "b"]}, "ab"),
        ("texts[*]", {}, ""),
        ("choices[0].delta.text", {"choices": [{"delta": {"text": "a"}}]}, "a"),
        ("choices[0].delta.text", {"choices": [{}]}, ""),
        ("choices[0].delta.text", {}, ""),
        ("choices[0].parts[1].text", {"choices": [{"parts": [{}, {"text": "a"}]}]}, "a"),
        ("choices[0].parts[1].text", {"choices": [{"parts": [{"text": "a"}]}]}, ""),
        ("choices[1].parts[*].text", {"choices": [{"parts": [{"text": "a"}]}]}, ""),
        (
            "choices[*].parts[*].lines[*]",
            {"choices": [{"parts": [{"lines": ["a", "b"]}]}, {"parts": [{"lines": ["c"]}]}]},
            "abc",
        ),
        ("choices[*].parts[0].raw", {"choices": [{"parts": [{"raw": b"a"}]}] * 2}, "aa"),
    ],
)
def test_a_path_leads_to_the_text(
    schema: Schema, tmp_path: Path, path: str, fields: dict[str, Any], text: str
) -> None:
    assert Stream(schema, tmp_path, f"text: {path}").text(**fields) == text


def test_bytes_may_end_within_a_character(schema: Schema, tmp_path: Path) -> None:
    stream = Stream(schema, tmp_path, "text: raw")
    umbrella = "\u2602".encode()
    parts = [umbrella[:1], umbrella[1:] + b"a", umbrella + umbrella[:2], b"b"]
    assert [stream.text(raw=part) for part in parts] == ["", "\u2602a", "\u2602", "\ufffdb"]


def test_bytes_before_the_text_can_be_skipped(schema: Schema, tmp_path: Path) -> None:
    stream = Stream(schema, tmp_path, "text: {from: raw, skip_bytes: 4}")
    umbrella = "\u2602".encode()
    parts = [b"\xff\0\0\0" + umbrella[:1], b"\xff\0\0\0" + umbrella[1:], b""]
    assert [stream.text(raw=part) for part in parts] == ["", "\u2602", ""]


@pytest.mark.parametrize("field", ["text", "raw"])
def test_of_a_whole_text_what_is_new_is_told(schema: Schema, tmp_path: Path, field: str) -> None:
    stream = Stream(schema, tmp_path, f"text: {{from: {field}, whole: true}}")
    whole = ["It ", "It rains", "", "It rains", "It rains."]
    values = whole if field == "text" else [text.encode() for text in whole]
    assert [stream.text(**{field: value}) for value in values] == ["It ", "rains", "", "", "."]


def test_a_whole_text_in_bytes_may_end_within_a_character(schema: Schema, tmp_path: Path) -> None:
    stream = Stream(schema, tmp_path, "text: {from: raw, whole: true, skip_bytes: 1}")
    whole = "-a\u2602b".encode()
    assert [stream.text(raw=whole[:end]) for end in (2, 3, 4, 5, 6)] == [
        *("a", "", "", "\u2602", "b")
    ]


def test_a_whole_text_that_does_not_go_on_fails_the_stream(schema: Schema, tmp_path: Path) -> None:
    stream = Stream(schema, tmp_path, "text: {from: text, whole: true}")
    assert stream.text(text="It rains") == "It rains"
    for _ in range(2):
        with pytest.raises(RpcError, match="INTERNAL") as caught:
            stream.text(text="It's dry")
        assert caught.value.cause == "the backend has changed what it had said"


def test_streams_know_nothing_of_each_other(schema: Schema, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    form = {"text": {"from": "text", "whole": True}, "usage": {"prompt_tokens": "counts.read"}}
    entry = {"service": "p.S", "method": "M", "request": {"prompt": "$prompt"}, "response": form}
    path.write_text(yaml.safe_dump({"completions": entry}))
    completion = read(path, schema).of("")
    answer = GetMessageClass(schema.services["p.S"][0].response)
    raw = answer(text="a", counts={"read": 5}).SerializeToString()
    first, second = (completion.method().parse(raw) for _ in range(2))
    assert first == second
    assert (first.index, first.text, first.usage.prompt_tokens) == (0, "a", 5)


BY_NAME = "{from: 'choices[0].reason', values: {END: stop, LIMIT: length}}"


@pytest.mark.parametrize(
    ("form", "fields", "reason"),
    [
        (BY_NAME, {"choices": [{"reason": "END"}]}, "STOP"),
        (BY_NAME, {"choices": [{"reason": "LIMIT"}]}, "LENGTH"),
        (BY_NAME, {"choices": [{"reason": "CRASH"}]}, None),
        (BY_NAME, {"choices": [{"reason": "GOING_ON"}]}, None),
        (BY_NAME, {}, None),
        ("{from: reason, values: {eos: stop}}", {"reason": "eos"}, "STOP"),
        ("{from: reason, values: {eos: stop}}", {"reason": "stop"}, None),
        ("reason", {"reason": "content_filter"}, "CONTENT_FILTER"),
        ("reason", {"reason": ""}, None),
        ("{from: done, values: {true: stop}}", {"done": True}, "STOP"),
        ("{from: done, values: {true: stop}}", {}, None),
        (f"[reason, {BY_NAME}]", {"reason": "stop", "choices": [{"reason": "LIMIT"}]}, "STOP"),
        (f"[reason, {BY_NAME}]", {"choices": [{"reason": "LIMIT"}]}, "LENGTH"),
    ],
)
def test_a_field_says_why_the_model_stopped(
    schema: Schema, tmp_path: Path, form: str, fields: dict[str, Any], reason: str | None
) -> None:
    found = Stream(schema, tmp_path, f"finish_reason: {form}").beside_text(**fields)
    assert found == ({} if reason is None else {"finish_reason": f"FINISH_REASON_{reason}"})


def test_a_reason_can_be_a_failure(schema: Schema, tmp_path: Path) -> None:
    form = "finish_reason: {from: 'choices[0].reason', values: {CRASH: DATA_LOSS}}"
    with pytest.raises(RpcError) as caught:
        Stream(schema, tmp_path, form).text(choices=[{"reason": "CRASH"}])
    assert (caught.value.status, caught.value.message) == (
        Status.DATA_LOSS,
        "The backend ended the answer with CRASH.",
    )


def test_each_count_holds_until_another_comes(schema: Schema, tmp_path: Path) -> None:
    stream = Stream(
        schema,
        tmp_path,
        "usage: {prompt_tokens: counts.read, completion_tokens: counts.written, "
        "total_tokens: counts.all}",
    )
    told = [
        stream.beside_text(**({"counts": counts} if counts else {})).get("usage")
        for counts in (
            {},
            {"read": 5},
            {"read": 5},
            {"written": 1},
            {"written": 2, "read": -1, "all": 9},
        )
    ]
    assert told == [
        None,
        {"prompt_tokens": "5", "total_tokens": "5"},
        None,
        {"prompt_tokens": "5", "completion_tokens": "1", "total_tokens": "6"},
        {"prompt_tokens": "5", "completion_tokens": "2", "total_tokens": "9"},
    ]


def test_the_model_is_told_with_the_first_message(schema: Schema, tmp_path: Path) -> None:
    stream = Stream(schema, tmp_path, "model: model")
    assert stream.beside_text(model="m") == {"model": "m"}
    assert stream.beside_text(model="m") == {}


CALLS = "tool_calls: {each: 'calls[*]', id: id, name: name, arguments: arguments}"
STEPS = "tool_calls: {each: 'calls[*]', id: id, name: name, arguments: arguments, index: number}"


def test_each_call_is_a_whole_one(schema: Schema, tmp_path: Path) -> None:
    stream = Stream(schema, tmp_path, CALLS)
    call = {"id": "a", "name": "f", "arguments": "{}"}
    assert stream.beside_text(calls=[call, {**call, "id": "b"}])["tool_calls"] == [
        call,
        {**call, "index": 1, "id": "b"},
    ]
    assert stream.beside_text(calls=[{**call, "id": "c"}])["tool_calls"] == [
        {**call, "index": 2, "id": "c"}
    ]


def test_a_call_may_come_in_steps(schema: Schema, tmp_path: Path) -> None:
    stream = Stream(schema, tmp_path, STEPS)
    call = {"id": "a", "name": "f"}
    assert stream.beside_text(calls=[{**call, "arguments": "{"}])["tool_calls"] == [
        {**call, "arguments": "{"}
    ]
    assert stream.beside_text(calls=[{**call, "arguments": "}"}, {**call, "number": 1, "id": "b"}])[
        "tool_calls"
    ] == [{"arguments": "}"}, {**call, "index": 1, "id": "b"}]


def test_a_call_without_an_id_gets_one(schema: Schema, tmp_path: Path) -> None:
    form = "tool_calls: {each: 'calls[*]', name: name, arguments: arguments}"
    calls = Stream(schema, tmp_path, form).beside_text(calls=[{"name": "f"}] * 2)["tool_calls"]
    first, second = (call["id"] for call in calls)
    assert first.startswith("call_")
    assert first != second


def test_calls_may_be_among_other_parts(schema: Schema, tmp_path: Path) -> None:
    form = "tool_calls: {each: 'choices[0].parts[*].call', id: id, name: name, arguments: object}"
    stream = Stream(schema, tmp_path, form)
    parts = [{"text": "a"}, {"call": {"id": "a", "object": {"x": 1}}}, {"call": {"id": "b"}}]
    assert stream.beside_text(choices=[{"parts": parts}])["tool_calls"] == [
        {"id": "a", "arguments": '{"x":1.0}'},
        {"index": 1, "id": "b", "arguments": "{}"},
    ]


def test_a_model_that_stops_after_calls_asks_for_them(schema: Schema, tmp_path: Path) -> None:
    stream = Stream(schema, tmp_path, f"{CALLS}\nfinish_reason: reason")
    stream.beside_text(calls=[{"id": "a"}])
    assert stream.beside_text(reason="stop") == {"finish_reason": "FINISH_REASON_TOOL_CALLS"}
    assert stream.beside_text(reason="length") == {"finish_reason": "FINISH_REASON_LENGTH"}


@pytest.mark.parametrize(
    ("form", "problem", "status"),
    [
        ("{message: problem.message}", {"message": "no"}, Status.UNKNOWN),
        ("{message: problem.message, status: ABORTED}", {"message": "no"}, Status.ABORTED),
        ("{message: problem.message, code: problem.code}", {"message": "no"}, Status.UNKNOWN),
        ("{message: problem.message, code: problem.code}", {"code": 8}, Status.RESOURCE_EXHAUSTED),
        ("{code: problem.code}", {"message": "no", "code": 8}, Status.RESOURCE_EXHAUSTED),
        ("{code: problem.code}", {"code": 99}, Status.UNKNOWN),
    ],
)
def test_a_message_can_tell_of_an_error(
    schema: Schema, tmp_path: Path, form: str, problem: dict[str, Any], status: Status
) -> None:
    stream = Stream(schema, tmp_path, f"error: {form}")
    assert stream.text(text="a", problem={}) == "a"
    with pytest.raises(RpcError) as caught:
        stream.text(problem=problem)
    told = problem.get("message", "") if "message" in form.split("code")[0] else ""
    assert (caught.value.status, caught.value.message) == (status, told)


def test_a_message_that_can_t_be_read_is_told_as_such(schema: Schema, tmp_path: Path) -> None:
    with pytest.raises(DecodeError):
        Stream(schema, tmp_path, "{}").method.parse(b"\xff")


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ("text: txt", "text: p.Answer has no field txt: did you mean text or texts?"),
        (
            "text: choices.parts",
            "text: p.Answer.choices is repeated: choices[0] is its first value, choices[*] are all",
        ),
        ("text: choices[0].delta[0].text", "text: p.Choice.delta is not repeated"),
        ("text: choices[-1].reason", "text: 'choices[-1]' is no name of a field"),
        ("text: text.more", "text: p.Answer.text is no message, so nothing is in it"),
        ("text: labels.a", "text: p.Answer.labels is a map, and no path leads into one"),
        ("text: ''", "text.from: String should have at least 1 character"),
        ("text: text.", "text: '' is no name of a field"),
        ("text: score", "text: p.Answer.score is of the wrong type, double"),
        (
            "text: {from: text, skip_bytes: 4}",
            "text: p.Answer.text is text, of which no bytes can be skipped",
        ),
        ("text: {from: text, hole: true}", "text.hole: there is no such key"),
        (
            "finish_reason: choices[0].reason",
            "finish_reason: values has to say what those of p.Choice.reason mean",
        ),
        (
            "finish_reason: {from: score, values: {a: stop}}",
            "finish_reason: p.Answer.score is of the wrong type, double",
        ),
        (
            "finish_reason: {from: done, values: {a: stop}}",
            "finish_reason: a is no value of p.Answer.done, bool",
        ),
        (
            "finish_reason: {from: reason, values: {true: stop}}",
            "finish_reason: True is no value of p.Answer.reason, string",
        ),
        (
            "finish_reason: {from: 'choices[0].reason', values: {LIMITS: stop}}",
            "finish_reason: p.Reason has no value LIMITS: did you mean LIMIT?",
        ),
        (
            "finish_reason: {from: reason, values: {a: stopped}}",
            "finish_reason: stopped is no finish reason, and no status of a failure: "
            "did you mean stop?",
        ),
        (
            "finish_reason: {from: reason, values: {a: OK}}",
            "finish_reason: OK is no finish reason, and no status of a failure",
        ),
        (
            "finish_reason: {from: 'choices[*].reason', values: {END: stop}}",
            "finish_reason: choices[*].reason are several values, and one is needed",
        ),
        ("usage: {prompt_tokens: score}", "usage: p.Answer.score is of the wrong type, double"),
        ("usage: {tokens: counts.read}", "usage.tokens: there is no such key"),
        ("model: texts[*]", "model: texts[*] are several values, and one is needed"),
        (
            "tool_calls: {each: 'texts[*]', name: a, arguments: b}",
            "tool_calls: p.Answer.texts is no message",
        ),
        (
            "tool_calls: {each: calls, name: name, arguments: object}",
            "tool_calls: p.Answer.calls is repeated: calls[0] is its first value, calls[*] are all",
        ),
        (
            "tool_calls: {each: 'calls[*]', name: name, arguments: number}",
            "tool_calls: p.Call.number is of the wrong type, int32",
        ),
        ("error: {message: problem}", "error: p.Answer.problem is of the wrong type, p.Problem"),
        ("error: {status: ABORTED}", "error: must have a message or a code"),
        (
            "error: {message: text, status: OK}",
            "error.status: must be the name of a gRPC status that is an error",
        ),
    ],
)
def test_what_leads_nowhere_is_refused(
    schema: Schema, tmp_path: Path, form: str, problem: str
) -> None:
    with pytest.raises(CompletionsError) as caught:
        Stream(schema, tmp_path, form)
    assert str(caught.value) == f"{tmp_path}/p.yaml: completions.0.response.{problem}"


def test_all_problems_are_told_together(schema: Schema, tmp_path: Path) -> None:
    with pytest.raises(CompletionsError) as caught:
        Stream(schema, tmp_path, "{text: a, model: b, usage: {prompt_tokens: c}, error: {code: d}}")
    assert [problem.split(": ")[1].split(".")[-1] for problem in caught.value.problems] == [
        *("text", "usage", "model", "error")
    ]
