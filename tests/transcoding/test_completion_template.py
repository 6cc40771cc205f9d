"""The template of a request: how it is filled in, and what doesn't fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.json_format import MessageToDict

from bridge.error_details import field_violations
from bridge.status import Status
from bridge.transcoding.completions import Completion, CompletionsError, read
from bridge.transcoding.schema import Schema, build
from bridge.transcoding.schema import read as read_schema
from bridge.upstream.call import RpcError
from protos.completion.v1.completion_pb2 import (
    Message,
    ResponseFormat,
    Role,
    StreamCompletionRequest,
    Tool,
    ToolCall,
    ToolChoice,
)
from tests.transcoding.conftest import Compile

PROTO = """
package p;
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
enum Speaker { SPEAKER_UNSPECIFIED = 0; HUMAN = 1; MACHINE = 2; }
message Turn { string who = 1; string says = 2; Speaker speaker = 3; repeated Turn inner = 4; }
message Knobs { double heat = 1; }
message Ask {
  string prompt = 1;
  repeated Turn turns = 2;
  Knobs knobs = 3;
  repeated string texts = 4;
  bytes raw = 5;
  int32 small = 6;
  uint64 large = 7;
  bool strict = 8;
  float heat = 9;
  map<string, Knobs> knobs_by_name = 10;
  map<int32, string> texts_by_number = 11;
  google.protobuf.Struct object = 12;
  google.protobuf.Value value = 13;
  google.protobuf.ListValue list = 14;
  google.protobuf.Int32Value maybe_small = 15;
  google.protobuf.StringValue maybe_text = 16;
  google.protobuf.Duration lasts = 17;
  repeated bytes raws = 18;
  repeated Speaker speakers = 19;
  oneof one { string first = 20; string second = 21; }
  string camel_case = 22;
}
message Answer { string text = 1; repeated Call calls = 2; }
message Call { string name = 1; string arguments = 2; }
service S { rpc M(Ask) returns (stream Answer); }
"""
RESPONSE = {"text": "text", "tool_calls": {"each": "calls[*]", "name": "name", "arguments": "name"}}
PROMPT = "prompt: $prompt\n"


@pytest.fixture(scope="module")
def schema(compile_protos: Compile) -> Schema:
    return build(read_schema([compile_protos(p=PROTO)]))


def mapped(schema: Schema, folder: Path, template: str, **more: Any) -> Completion:
    form = {"service": "p.S", "method": "M", "response": RESPONSE, **more}
    form["request"] = yaml.safe_load(template)
    path = folder / "p.yaml"
    path.write_text(yaml.safe_dump({"completions": form}))
    return read(path, schema).of("")


def filled(schema: Schema, folder: Path, template: str, **request: Any) -> Any:
    """Return the fields that a template gives, beside the prompt, as JSON."""
    completion = mapped(schema, folder, PROMPT + template)
    found = MessageToDict(completion.request(asking(**request)), preserving_proto_field_name=True)
    assert found.pop("prompt") == "Hello"
    return found


def asking(**request: Any) -> StreamCompletionRequest:
    request.setdefault("messages", [Message(role=Role.ROLE_USER, content="Hello")])
    return StreamCompletionRequest(**request)


@pytest.mark.parametrize(
    ("template", "fields"),
    [
        ("texts: $stop", {"texts": ["a", "b"]}),
        ("raws: $stop", {"raws": ["YQ==", "Yg=="]}),
        ("list: $stop", {"list": ["a", "b"]}),
        ("texts: [x, $model, $system]", {"texts": ["x", "m"]}),
        ("raw: $model", {"raw": "bQ=="}),
        ("raw: text", {"raw": "dGV4dA=="}),
        ("small: $max_tokens", {"small": 100}),
        ("large: $seed", {"large": "18446744073709551615"}),
        ("heat: $max_tokens", {"heat": 100.0}),
        ("knobs: {heat: $temperature}", {"knobs": {"heat": 0.1}}),
        ("strict: $parallel_tool_calls", {}),
        ("value: $parallel_tool_calls", {"value": False}),
        ("maybe_small: $max_tokens", {"maybe_small": 100}),
        ("maybe_small: 5", {"maybe_small": 5}),
        ("maybe_text: $model", {"maybe_text": "m"}),
        ("value: $temperature", {"value": 0.1}),
        ("lasts: 1.5s", {"lasts": "1.500s"}),
        ("speakers: [HUMAN, 2]", {"speakers": ["HUMAN", "MACHINE"]}),
        ("camelCase: $model", {"camel_case": "m"}),
        ("camel_case: $$model", {"camel_case": "$model"}),
        ("camel_case: a$model", {"camel_case": "a$model"}),
        ("knobs_by_name: {a: {heat: 1}, b: {heat: $top_p}}", {"knobs_by_name": {"a": {"heat": 1}}}),
        ("texts_by_number: {1: $model, 2: $system}", {"texts_by_number": {"1": "m"}}),
        (
            "object: {a: [$temperature, {b: $system}, null, $$x]}",
            {"object": {"a": [0.1, {}, None, "$x"]}},
        ),
        ("value: [$max_tokens, $model]", {"value": [100.0, "m"]}),
        ("list: [true, $stop]", {"list": [True, ["a", "b"]]}),
        ("knobs: {}", {"knobs": {}}),
        ("turns: [{who: a}, {says: $system}]", {"turns": [{"who": "a"}]}),
        ("turns: [{inner: [{says: $model}]}]", {"turns": [{"inner": [{"says": "m"}]}]}),
        ("turns: [{inner: [{says: $system}]}]", {}),
        ("{first: $system, second: $model}", {"second": "m"}),
        ("{first: $model, second: b}", {"first": "m"}),
        ("camel_case: {$if: model, $then: a, $else: b}", {"camel_case": "a"}),
        ("camel_case: {$if: system, $then: a, $else: b}", {"camel_case": "b"}),
        ("camel_case: {$if: tools, $then: a}", {}),
        ("turns: {$if: model, $then: [{who: a}]}", {"turns": [{"who": "a"}]}),
        ("small: {$map: model, $to: {m: 1, n: 2}}", {"small": 1}),
        ("small: {$map: model, $to: {n: 2}, $else: 3}", {"small": 3}),
        ("small: {$map: max_tokens, $to: {100: 4}}", {"small": 4}),
        ("small: {$map: temperature, $to: {0: 1}, $else: 2}", {"small": 2}),
        ("small: {$map: parallel_tool_calls, $to: {false: 1}}", {"small": 1}),
        ("small: {$map: system, $to: {n: 2}, $else: 3}", {}),
        (
            "camel_case: {$json: {a: $temperature, b: $system, c: $stop}}",
            {"camel_case": '{"a": 0.1, "c": ["a", "b"]}'},
        ),
        ("camel_case: {$json: $system}", {}),
        ("camel_case: {$json: {é: {$json: [1]}}}", {"camel_case": '{"é": "[1]"}'}),
        ("value: {$json: [1]}", {"value": "[1]"}),
        ("raw: {$json: 1}", {"raw": "MQ=="}),
    ],
)
def test_a_template_is_filled_in(
    schema: Schema, tmp_path: Path, template: str, fields: dict[str, Any]
) -> None:
    if template.startswith("{"):
        template = yaml.safe_dump(yaml.safe_load(template), default_flow_style=False)
    found = mapped(
        schema,
        tmp_path,
        PROMPT + template,
        ignore=["stop", "seed", "max_tokens", "temperature"],
    ).request(
        asking(
            model="m",
            stop=["a", "b"],
            max_tokens=100,
            seed=2**64 - 1,
            temperature=0.1,
            parallel_tool_calls=False,
        )
    )
    assert MessageToDict(found, preserving_proto_field_name=True) == {"prompt": "Hello", **fields}


CALLS = [ToolCall(id="c", name="f", arguments='{"a": 1}')]
TOOL = Tool(name="f", description="d", parameters='{"type": "object"}', strict=True)
SPOKEN = """
turns:
  - who: first
  - $each: messages
    $as:
      who: $role
      says: $content
      speaker: {$map: role, $to: {user: HUMAN, assistant: MACHINE}}
      inner: {$each: tool_calls, $as: {who: $name, says: $arguments}}
"""


def test_each_thing_of_a_list_has_its_own_variables(schema: Schema, tmp_path: Path) -> None:
    messages = [
        Message(role=Role.ROLE_USER, content="Hello"),
        Message(role=Role.ROLE_ASSISTANT, tool_calls=CALLS),
    ]
    found = mapped(schema, tmp_path, SPOKEN).request(asking(messages=messages))
    assert MessageToDict(found) == {
        "turns": [
            {"who": "first"},
            {"who": "user", "says": "Hello", "speaker": "HUMAN"},
            {
                "who": "assistant",
                "speaker": "MACHINE",
                "inner": [{"who": "f", "says": '{"a": 1}'}],
            },
        ]
    }


def test_a_list_can_be_json(schema: Schema, tmp_path: Path) -> None:
    template = (
        "value: {$each: tools, $as: {name: $name, takes: $parameters, to: $description, "
        "strict: $strict, of: $model}}"
    )
    assert filled(schema, tmp_path, template, tools=[TOOL], model="m") == {
        "value": [{"name": "f", "takes": {"type": "object"}, "to": "d", "strict": True, "of": "m"}]
    }


@pytest.mark.parametrize(
    ("template", "request_", "field", "reason"),
    [
        (
            "small: $max_tokens",
            {"max_tokens": 2**31},
            "max_tokens",
            "takes -2147483648 to 2147483647",
        ),
        ("small: {$map: model, $to: {n: 2}}", {"model": "m"}, "model", "has nothing for m"),
        (
            "object: $response_format.schema",
            {"response_format": ResponseFormat(schema="[]")},
            "response_format.schema",
            "no google.protobuf.Struct",
        ),
        (
            "value: $response_format.schema",
            {"response_format": ResponseFormat(schema="{")},
            "response_format.schema",
            "no JSON",
        ),
    ],
)
def test_what_a_field_can_t_carry_is_refused(
    schema: Schema,
    tmp_path: Path,
    template: str,
    request_: dict[str, Any],
    field: str,
    reason: str,
) -> None:
    ((name, told),) = refusal(mapped(schema, tmp_path, PROMPT + template), **request_)
    assert name == field
    assert reason in told


def refusal(completion: Completion, **request: Any) -> list[tuple[str, str]]:
    with pytest.raises(RpcError) as caught:
        completion.request(asking(**request))
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert str(caught.value.message)
    return field_violations(caught.value)


def test_what_is_wrong_in_a_list_is_told_with_its_number(schema: Schema, tmp_path: Path) -> None:
    messages = [
        Message(role=Role.ROLE_USER, content="Hello"),
        Message(role=Role.ROLE_SYSTEM, content="Hello"),
    ]
    assert refusal(mapped(schema, tmp_path, SPOKEN), messages=messages) == [
        ("messages.1.role", "The backend has nothing for system")
    ]


EVERYTHING = {
    "temperature": 0.0,
    "top_p": 1.0,
    "max_tokens": 1,
    "stop": ["a"],
    "seed": 0,
    "top_logprobs": 0,
    "frequency_penalty": 1.0,
    "presence_penalty": 1.0,
    "choices": 2,
    "parallel_tool_calls": False,
    "tool_choice": ToolChoice(mode=ToolChoice.MODE_NONE),
    "response_format": ResponseFormat(),
}


def test_what_is_asked_for_and_not_in_the_template_is_refused(
    schema: Schema, tmp_path: Path
) -> None:
    completion = mapped(schema, tmp_path, PROMPT)
    found = refusal(completion, tools=[TOOL], **EVERYTHING)
    assert sorted(field for field, _ in found) == sorted([*EVERYTHING, "tools"])


def test_what_is_as_good_as_not_asked_for_is_not_refused(schema: Schema, tmp_path: Path) -> None:
    nothing = {
        "choices": 1,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "parallel_tool_calls": False,
        "tool_choice": ToolChoice(mode=ToolChoice.MODE_NONE),
    }
    assert filled(schema, tmp_path, "", **nothing) == {}
    tools = "turns: {$each: tools, $as: {who: $name}}"
    auto = ToolChoice(mode=ToolChoice.MODE_AUTO)
    asked = {"tools": [Tool(name="f")], "parallel_tool_calls": True, "tool_choice": auto}
    assert filled(schema, tmp_path, tools, **asked) == {"turns": [{"who": "f"}]}


def test_what_is_ignored_gets_lost(schema: Schema, tmp_path: Path) -> None:
    ignored = [name for name in EVERYTHING if "_" not in name or name == "top_p"]
    ignored.remove("choices")
    completion = mapped(schema, tmp_path, PROMPT, ignore=[*ignored, "tools"])
    found = refusal(completion, tools=[TOOL], **EVERYTHING)
    assert {field for field, _ in found} == {*EVERYTHING} - {*ignored}


RESULT = """
turns:
  $each: messages
  $as:
    who: $role
    says: $content
    inner: [{who: %s}, {$each: tool_calls, $as: {who: $name}}]
"""


@pytest.mark.parametrize(
    ("named_by", "name"), [("$tool_call_id", "c"), ("$tool_name", "f")], ids=["id", "tool"]
)
def test_a_result_has_the_id_or_the_tool_of_its_call(
    schema: Schema, tmp_path: Path, named_by: str, name: str
) -> None:
    messages = [
        Message(role=Role.ROLE_ASSISTANT, tool_calls=CALLS),
        Message(role=Role.ROLE_TOOL, content="r", tool_call_id="c"),
    ]
    completion = mapped(schema, tmp_path, RESULT % named_by)
    found = MessageToDict(completion.request(asking(messages=messages)))
    assert found["turns"][1] == {"who": "tool", "says": "r", "inner": [{"who": name}]}


def test_a_result_that_names_no_call_is_refused(schema: Schema, tmp_path: Path) -> None:
    message = Message(role=Role.ROLE_TOOL, content="r", tool_call_id="c")
    completion = mapped(schema, tmp_path, RESULT % "$model")
    assert refusal(completion, messages=[message]) == [
        ("messages.0.tool_call_id", "This is not supported by the backend")
    ]


@pytest.mark.parametrize(
    ("tool", "lost"),
    [
        ("{who: $name}", ["description", "parameters", "strict"]),
        ("{who: $name, says: $description}", ["parameters", "strict"]),
    ],
)
def test_what_is_lost_of_a_tool_is_refused(
    schema: Schema, tmp_path: Path, tool: str, lost: list[str]
) -> None:
    completion = mapped(schema, tmp_path, PROMPT + f"turns: {{$each: tools, $as: {tool}}}")
    assert [field for field, _ in refusal(completion, tools=[Tool(name="g"), TOOL])] == [
        f"tools.1.{name}" for name in lost
    ]


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("promt: a", "promt: p.Ask has no field promt: did you mean prompt?"),
        ("knobs: {cold: 1}", "knobs.cold: p.Knobs has no field cold"),
        ("knobs: 5", "knobs: p.Knobs needs a mapping"),
        ("knobs: $model", "knobs: p.Knobs needs a mapping, which $model isn't"),
        ("knobs: {$json: 1}", "knobs: p.Knobs needs a mapping, not a text"),
        ("camel_case: $modle", "camel_case: there is no variable modle: did you mean model?"),
        ("camel_case: $role", "camel_case: there is no variable role"),
        ("small: $temperature", "small: it doesn't fit p.Ask.small, int32"),
        ("small: $model", "small: it doesn't fit p.Ask.small, int32"),
        ("small: many", "small: it doesn't fit p.Ask.small, int32"),
        ("small: 2147483648", "small: it doesn't fit p.Ask.small, int32"),
        ("small:", "small: it is empty"),
        ("small: [1]", "small: it doesn't fit p.Ask.small, int32"),
        ("strict: $max_tokens", "strict: it doesn't fit p.Ask.strict, bool"),
        ("camel_case: $max_tokens", "camel_case: it doesn't fit p.Ask.camel_case, string"),
        ("camel_case: $stop", "camel_case: p.Ask.camel_case is not repeated, and stop is a list"),
        (
            "camel_case: $messages",
            "camel_case: messages is a list: write {$each: messages, $as: ...}",
        ),
        ("camel_case: {$each: tools, $as: $name}", "camel_case: $each needs a list"),
        ("lasts: long", "lasts: it doesn't fit p.Ask.lasts, google.protobuf.Duration"),
        ("texts: $model", "texts: p.Ask.texts is repeated, and needs a list"),
        ("texts: a", "texts: p.Ask.texts is repeated, and needs a list"),
        ("texts: {$json: 1}", "texts: p.Ask.texts is repeated, and needs a list"),
        ("texts: [a, {b: c}]", "texts.1: it doesn't fit p.Ask.texts, string"),
        ("turns: [{$each: stop, $as: {}}]", "turns.0: stop is no list of things that have names"),
        ("turns: {$each: tool, $as: {}}", "turns: there is no variable tool: did you mean tools?"),
        (
            "turns: {$each: messages, $as: {who: $rol}}",
            "turns.$as.who: there is no variable rol: did you mean role?",
        ),
        (
            "turns: {$each: messages, $as: {speaker: $role}}",
            "turns.$as.speaker: write {$map: role, $to: ...}, with values of p.Speaker",
        ),
        ("turns: {$each: messages}", "turns: $each needs $as"),
        ("turns: {$eech: messages}", "turns: there is no $eech: did you mean $each?"),
        ("turns: {$each: messages, $as: {}, who: a}", "turns: who can't stand beside $each"),
        ("turns: {$each: 1, $as: {}}", "turns: 1 is no name of a variable"),
        ("turns: {who: a}", "turns: p.Ask.turns is repeated, and needs a list"),
        ("speakers: [HUMEN]", "speakers.0: p.Speaker has no value HUMEN: did you mean HUMAN?"),
        ("small: {$map: model, $to: {}}", "small: $to needs a mapping"),
        ("small: {$map: model, $to: {1: 2}}", "small: $to has what model never is"),
        ("small: {$map: stop, $to: {a: 2}}", "small: stop can't be translated"),
        ("small: {$map: model, $to: {a: x}}", "small.$to.a: it doesn't fit p.Ask.small, int32"),
        (
            "small: {$map: tool_choice.mode, $to: {non: 1}}",
            "small: tool_choice.mode is never non: did you mean none?",
        ),
        ("small: {$if: modle, $then: 1}", "small: there is no variable modle: did you mean model?"),
        (
            "small: {$if: model, $then: 1, $else: x}",
            "small.$else: it doesn't fit p.Ask.small, int32",
        ),
        ("small: {$json: 1}", "small: it doesn't fit p.Ask.small, int32"),
        (
            "camel_case: {$json: {a: $modle}}",
            "camel_case.$json.a: there is no variable modle: did you mean model?",
        ),
        ("knobs_by_name: [1]", "knobs_by_name: p.Ask.knobs_by_name is a map, and needs a mapping"),
        (
            "knobs_by_name: $model",
            "knobs_by_name: p.Ask.knobs_by_name is a map, and needs a mapping",
        ),
        (
            "texts_by_number: {a: b}",
            "texts_by_number: it doesn't fit p.Ask.TextsByNumberEntry.key, int32",
        ),
        ("object: [1]", "object: it is no google.protobuf.Struct"),
        ("object: $model", "object: it doesn't fit p.Ask.object, google.protobuf.Struct"),
        ("object: {a: 2026-01-02}", "object.a: 2026-01-02 can't be written in JSON"),
        ("list: {a: 1}", "list: it is no google.protobuf.ListValue"),
        ("{camel_case: a, camelCase: b}", "camel_case: p.Ask.camel_case is there twice"),
    ],
)
def test_a_template_that_doesn_t_fit_is_refused(
    schema: Schema, tmp_path: Path, template: str, problem: str
) -> None:
    if template.startswith("{"):
        template = yaml.safe_dump(yaml.safe_load(template), default_flow_style=False)
    with pytest.raises(CompletionsError) as caught:
        mapped(schema, tmp_path, PROMPT + template)
    assert str(caught.value) == f"{tmp_path}/p.yaml: completions.0.request.{problem}"


@pytest.mark.parametrize(
    ("template", "more", "problem"),
    [
        (
            "camel_case: a",
            {},
            "request: the conversation isn't in it: name $prompt, or messages with $each",
        ),
        (
            "turns: {$each: messages, $as: {who: $role}}",
            {},
            "request: messages.content has to be in it, too",
        ),
        (
            "turns: {$each: messages, $as: {says: $content}}",
            {},
            "request: messages.role has to be in it, too",
        ),
        (
            PROMPT,
            {"models": ["a", "b"]},
            "request: $model isn't in it, and there are several models",
        ),
        (
            SPOKEN,
            {"prompt": {"user": "{content}"}},
            "prompt: it is of no use, since $prompt isn't in the request",
        ),
        (
            PROMPT + "turns: {$each: tools, $as: {who: $name}}",
            {"response": {"text": "text"}},
            "response: tool_calls is missing, and the request has tools",
        ),
        (PROMPT, {"ignore": ["choices"]}, "ignore: choices can't be ignored"),
        (
            PROMPT,
            {"ignore": ["temprature"]},
            "ignore: temprature can't be ignored: did you mean temperature?",
        ),
        (PROMPT, {"service": "p.T"}, "service: there is no service p.T: did you mean p.S?"),
        (PROMPT, {"method": "N"}, "method: p.S has no N"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(
    schema: Schema, tmp_path: Path, template: str, more: dict[str, Any], problem: str
) -> None:
    with pytest.raises(CompletionsError) as caught:
        mapped(schema, tmp_path, template, **more)
    assert str(caught.value) == f"{tmp_path}/p.yaml: completions.0.{problem}"


ENTRY = "service: p.S, method: M, request: {prompt: $prompt}, response: {text: text}"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["Input should be a valid dictionary or instance of CompletionsForm"]),
        ("completion: {}", ["completions: Field required", "completion: there is no such key"]),
        (
            "completions: []",
            ["completions: List should have at least 1 item after validation, not 0"],
        ),
        (
            f"completions: {{{ENTRY}, prompt: {{user: a}}}}",
            ["completions.0.prompt.user: must have {content} once"],
        ),
        (f"completions: {{{ENTRY}, promt: {{}}}}", ["completions.0.promt: there is no such key"]),
        (
            f"completions: [{{{ENTRY}}}, {{{ENTRY}, models: [a]}}, {{{ENTRY}, models: [b, a]}}]",
            [
                "completions.0.models: each of several needs its own",
                "completions.2.request: $model isn't in it, and there are several models",
                "completions.2.models: a is there in 1, too",
            ],
        ),
    ],
)
def test_a_file_of_another_form_is_refused(
    schema: Schema, tmp_path: Path, text: str, problems: list[str]
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(CompletionsError) as caught:
        read(path, schema)
    assert sorted(caught.value.problems) == sorted(f"{path}: {problem}" for problem in problems)


def test_a_file_that_is_no_yaml_is_refused_with_its_line(schema: Schema, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("completions:\n  service: a\n  service: b\n")
    with pytest.raises(CompletionsError) as caught:
        read(path, schema)
    assert str(caught.value) == f"{path}, line 3: service stands here again, after line 2"


def test_several_methods_serve_each_its_models(schema: Schema, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"completions: [{{{ENTRY}, models: [a]}}, {{{ENTRY}, models: [b]}}]")
    completions = read(path, schema)
    assert completions.models == ("a", "b")
    assert completions.of("") is completions.of("a")
    assert completions.of("b") is not completions.of("a")
