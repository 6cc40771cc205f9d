"""The mappings in docs/completions.md serve services of the shapes that they are for."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from bridge.error_details import field_violations
from bridge.status import Status
from bridge.transcoding.completions import Completion, Completions, read
from bridge.transcoding.completions.variables import IGNORABLE, VARIABLES, Items
from bridge.transcoding.schema import RpcMethod, Schema
from bridge.upstream.address import Endpoint
from bridge.upstream.call import ChannelOptions, RpcError
from bridge.upstream.native import connect
from protos.completion.v1.completion_pb2 import (
    Message,
    ResponseFormat,
    Role,
    StreamCompletionRequest,
    StreamCompletionResponse,
    Tool,
    ToolCall,
    ToolChoice,
)
from tests.bridge.test_native_channel import Observer
from tests.test_docs import section
from tests.transcoding import completion_protos
from tests.transcoding.backend import schema_of
from tests.transcoding.conftest import Compile

DOCUMENT = "docs/completions.md"


def block(name: str) -> str:
    """Return what stands in a block of the document."""
    found = re.fullmatch(r"```\w+\n(.*)```\n", section(DOCUMENT, name), re.DOTALL)
    assert found
    return found[1]


PROTOS = {
    "acme": block("acme proto"),
    "xai": completion_protos.XAI,
    "gemini": completion_protos.GEMINI,
    "triton": completion_protos.TRITON,
    "tgis": completion_protos.TGIS,
    "localai": completion_protos.LOCALAI,
}


class Service:
    """The one method of a service, and the mapping of the document that is for it."""

    def __init__(self, schema: Schema, completions: Completions) -> None:
        self.completions = completions
        ((self.method,),) = schema.services.values()

    @property
    def completion(self) -> Completion:
        return self.completions.of("")

    def asked(self, request: StreamCompletionRequest) -> Any:
        """Return the request that the service gets, as JSON."""
        return MessageToDict(self.completion.request(request), preserving_proto_field_name=True)

    def answered(self, *messages: dict[str, Any]) -> list[Any]:
        """Return what comes of the messages of a stream, as JSON, without the index."""
        parse = self.completion.method().parse
        answers = [parse(self.written(message)) for message in messages]
        assert [answer.index for answer in answers] == list(range(len(messages)))
        return [without_index(answer) for answer in answers]

    def written(self, message: dict[str, Any]) -> bytes:
        written: bytes = ParseDict(
            message, GetMessageClass(self.method.response)()
        ).SerializeToString()
        return written

    def refusal(self, request: StreamCompletionRequest) -> list[tuple[str, str]]:
        """Return the fields for which a request is refused, and why."""
        with pytest.raises(RpcError) as caught:
            self.completion.request(request)
        assert caught.value.status is Status.INVALID_ARGUMENT
        return field_violations(caught.value)


def without_index(answer: StreamCompletionResponse) -> Any:
    found = MessageToDict(answer, preserving_proto_field_name=True)
    found.pop("index", None)
    return found


@pytest.fixture
def service(compile_protos: Compile, tmp_path: Path) -> Callable[[str], Service]:
    def service(name: str) -> Service:
        schema = schema_of(compile_protos(**{name: PROTOS[name]}))
        path = tmp_path / f"{name}.yaml"
        path.write_text(block(name))
        return Service(schema, read(path, schema))

    return service


QUESTION = Message(role=Role.ROLE_USER, content="What's the weather?")
CALL = ToolCall(id="c1", name="weather", arguments='{"city": "Paris"}')
CONVERSATION = [
    Message(role=Role.ROLE_SYSTEM, content="Be brief."),
    QUESTION,
    Message(role=Role.ROLE_ASSISTANT, tool_calls=[CALL]),
    Message(role=Role.ROLE_TOOL, content="Rain", tool_call_id="c1"),
]
WEATHER = Tool(name="weather", description="Tells it.", parameters='{"type": "object"}')


def sampled(*messages: Message, **more: Any) -> StreamCompletionRequest:
    """Return a request with all that there is to say of sampling."""
    return StreamCompletionRequest(
        messages=messages or [QUESTION],
        temperature=0.7,
        top_p=0.9,
        max_tokens=100,
        stop=["a", "b"],
        seed=7,
        **more,
    )


def with_tools(*messages: Message, **more: Any) -> StreamCompletionRequest:
    """Return a request that is in the midst of calling a tool."""
    return StreamCompletionRequest(messages=messages, tools=[WEATHER], **more)


def test_acme(service: Callable[[str], Service]) -> None:
    acme = service("acme")
    request = StreamCompletionRequest(
        model="acme-large",
        messages=[
            *CONVERSATION[:2],
            Message(role=Role.ROLE_ASSISTANT, content="Fine."),
            Message(role=Role.ROLE_USER, content="And {content}?"),
        ],
        temperature=0.7,
        max_tokens=100,
        stop=["\n"],
    )
    assert acme.asked(request) == {
        "model_name": "acme-large",
        "prompt": "<|system|>Be brief.<|end|><|user|>What's the weather?<|end|>"
        "<|assistant|>Fine.<|end|><|user|>And {content}?<|end|><|assistant|>",
        "limits": {"heat": 0.7, "new_tokens": 100},
        "stop_at": ["\n"],
    }
    assert acme.asked(StreamCompletionRequest(messages=[QUESTION])) == {
        "model_name": "acme-small",
        "prompt": "<|user|>What's the weather?<|end|><|assistant|>",
    }
    assert acme.refusal(StreamCompletionRequest(messages=CONVERSATION)) == [
        (f"messages.{number}.{name}", "This is not supported by the backend")
        for number, name in [(2, "tool_calls"), (3, "tool_call_id")]
    ]
    assert acme.answered(
        {"text": "It ", "read_tokens": 5},
        {"text": "It rains."},
        {"text": "It rains.", "ended_by": "eos", "written_tokens": 3},
    ) == [
        {"text": "It ", "usage": {"prompt_tokens": "5", "total_tokens": "5"}},
        {"text": "rains."},
        {
            "finish_reason": "FINISH_REASON_STOP",
            "usage": {"prompt_tokens": "5", "completion_tokens": "3", "total_tokens": "8"},
        },
    ]


@pytest.mark.parametrize(
    ("message", "status", "told"),
    [
        ({"problem": {"message": "busy"}}, Status.UNAVAILABLE, "busy"),
        ({"ended_by": "crash"}, Status.INTERNAL, "The backend ended the answer with crash."),
    ],
)
def test_a_message_of_acme_can_tell_of_a_failure(
    service: Callable[[str], Service], message: dict[str, Any], status: Status, told: str
) -> None:
    with pytest.raises(RpcError) as caught:
        service("acme").answered({"text": "It "}, message)
    assert (caught.value.status, caught.value.message) == (status, told)


def test_xai(service: Callable[[str], Service]) -> None:
    xai = service("xai")
    request = with_tools(
        *CONVERSATION,
        model="grok",
        tool_choice=ToolChoice(mode=ToolChoice.MODE_REQUIRED, name="weather"),
        parallel_tool_calls=False,
        response_format=ResponseFormat(strict=True),
    )
    assert xai.asked(request) == {
        "model": "grok",
        "messages": [
            {"role": "ROLE_SYSTEM", "content": [{"text": "Be brief."}]},
            {"role": "ROLE_USER", "content": [{"text": "What's the weather?"}]},
            {
                "role": "ROLE_ASSISTANT",
                "tool_calls": [
                    {"id": "c1", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
                ],
            },
            {"role": "ROLE_TOOL", "content": [{"text": "Rain"}], "tool_call_id": "c1"},
        ],
        "tools": [
            {
                "function": {
                    "name": "weather",
                    "description": "Tells it.",
                    "parameters": '{"type": "object"}',
                }
            }
        ],
        "tool_choice": {"function_name": "weather"},
        "parallel_tool_calls": False,
        "response_format": {
            "format_type": "FORMAT_TYPE_JSON_SCHEMA",
            "schema": '{"type":"object"}',
        },
    }
    none = ToolChoice(mode=ToolChoice.MODE_NONE)
    assert xai.asked(with_tools(QUESTION, tool_choice=none))["tool_choice"] == {
        "mode": "TOOL_MODE_NONE"
    }
    assert xai.asked(sampled(frequency_penalty=0.5, presence_penalty=-1)) == {
        "messages": [{"role": "ROLE_USER", "content": [{"text": "What's the weather?"}]}],
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 100,
        "stop": ["a", "b"],
        "seed": 7,
        "frequency_penalty": 0.5,
        "presence_penalty": -1.0,
    }
    call = {"id": "c1", "function": {"name": "weather", "arguments": "{}"}}
    assert xai.answered(
        {"outputs": [{"delta": {"content": "It "}}], "model": "grok-4"},
        {"outputs": [{"delta": {"tool_calls": [call, {**call, "id": "c2"}]}}], "model": "grok-4"},
        {"outputs": [{"finish_reason": "REASON_TOOL_CALLS"}]},
        {"usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 9}},
    ) == [
        {"text": "It ", "model": "grok-4"},
        {
            "tool_calls": [
                {"id": "c1", "name": "weather", "arguments": "{}"},
                {"index": 1, "id": "c2", "name": "weather", "arguments": "{}"},
            ]
        },
        {"finish_reason": "FINISH_REASON_TOOL_CALLS"},
        {"usage": {"prompt_tokens": "5", "completion_tokens": "3", "total_tokens": "9"}},
    ]


def test_gemini(service: Callable[[str], Service]) -> None:
    gemini = service("gemini")
    schema = '{"type": "array"}'
    request = with_tools(*CONVERSATION, response_format=ResponseFormat(schema=schema))
    assert gemini.asked(request) == {
        "model": "models/gemini-2.5-flash",
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "What's the weather?"}]},
            {
                "role": "model",
                "parts": [
                    {"function_call": {"id": "c1", "name": "weather", "args": {"city": "Paris"}}}
                ],
            },
            {
                "role": "user",
                "parts": [
                    {
                        "function_response": {
                            "id": "c1",
                            "name": "weather",
                            "response": {"result": "Rain"},
                        }
                    }
                ],
            },
        ],
        "tools": [
            {
                "function_declarations": [
                    {
                        "name": "weather",
                        "description": "Tells it.",
                        "parameters_json_schema": {"type": "object"},
                    }
                ]
            }
        ],
        "generation_config": {
            "response_mime_type": "application/json",
            "response_json_schema": {"type": "array"},
        },
    }
    assert gemini.asked(sampled())["generation_config"] == {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_output_tokens": 100,
        "stop_sequences": ["a", "b"],
        "seed": 7,
    }
    call = {"function_call": {"name": "weather", "args": {"city": "Paris"}}}
    *answers, last = gemini.answered(
        {"candidates": [{"content": {"parts": [{"text": "It "}, {"text": "rains."}]}}]},
        {
            "candidates": [{"content": {"parts": [call]}, "finish_reason": "STOP"}],
            "usage_metadata": {"prompt_token_count": 5, "candidates_token_count": 3},
        },
    )
    assert answers == [{"text": "It rains."}]
    assert re.fullmatch(r"call_\w{32}", last["tool_calls"][0].pop("id"))
    assert last == {
        "finish_reason": "FINISH_REASON_TOOL_CALLS",
        "tool_calls": [{"name": "weather", "arguments": '{"city":"Paris"}'}],
        "usage": {"prompt_tokens": "5", "completion_tokens": "3", "total_tokens": "8"},
    }
    assert gemini.answered({"prompt_feedback": {"block_reason": "OTHER"}}) == [
        {"finish_reason": "FINISH_REASON_CONTENT_FILTER"}
    ]


def tensor(text: str) -> str:
    """Return what Triton sends of a text: bytes, which are base64 in JSON."""
    raw = text.encode()
    return b64encode(len(raw).to_bytes(4, "little") + raw).decode()


def test_triton(service: Callable[[str], Service]) -> None:
    triton = service("triton")
    request = triton.completion.request(sampled(*CONVERSATION[:2]))
    inputs = {one.name: one for one in request.inputs}  # type: ignore[attr-defined]
    assert [(one.name, one.datatype, list(one.shape)) for one in inputs.values()] == [
        ("text_input", "BYTES", [1]),
        ("stream", "BOOL", [1]),
        ("exclude_input_in_output", "BOOL", [1]),
        ("sampling_parameters", "BYTES", [1]),
    ]
    (prompt,) = inputs["text_input"].contents.bytes_contents
    assert prompt.decode() == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nWhat's the weather?<|im_end|>\n<|im_start|>assistant\n"
    )
    (parameters,) = inputs["sampling_parameters"].contents.bytes_contents
    assert json.loads(parameters) == {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 100,
        "stop": ["a", "b"],
        "seed": 7,
    }
    bare = triton.completion.request(StreamCompletionRequest(messages=[QUESTION]))
    assert bare.inputs[3].contents.bytes_contents == [b"{}"]  # type: ignore[attr-defined]
    response = {"model_name": "vllm_model"}
    assert triton.answered(
        {"infer_response": {**response, "raw_output_contents": [tensor("It ")]}},
        {"infer_response": {**response, "raw_output_contents": [tensor("rains \u2602.")]}},
        {"infer_response": response},
    ) == [{"text": "It ", "model": "vllm_model"}, {"text": "rains \u2602."}, {}]
    with pytest.raises(RpcError, match="no such model") as caught:
        triton.answered({"error_message": "no such model"})
    assert caught.value.status is Status.UNKNOWN


def test_tgis(service: Callable[[str], Service]) -> None:
    tgis = service("tgis")
    assert tgis.asked(sampled(model="m")) == {
        "model_id": "m",
        "request": {"text": "What's the weather?"},
        "params": {
            "method": "SAMPLE",
            "sampling": {"temperature": 0.7, "top_p": 0.9, "seed": "7"},
            "stopping": {"max_new_tokens": 100, "stop_sequences": ["a", "b"]},
        },
    }
    assert tgis.asked(StreamCompletionRequest(messages=[QUESTION])) == {
        "request": {"text": "What's the weather?"}
    }
    cold = tgis.asked(StreamCompletionRequest(messages=[QUESTION], temperature=0))
    assert cold["params"] == {"sampling": {}}
    assert tgis.refusal(StreamCompletionRequest(messages=CONVERSATION[:2])) == [
        ("messages", "The backend takes one message, and that of a user")
    ]
    assert tgis.answered(
        {"input_token_count": 5},
        {"text": "It ", "generated_token_count": 1},
        {"text": "rains.", "generated_token_count": 3, "stop_reason": "STOP_SEQUENCE"},
    ) == [
        {"usage": {"prompt_tokens": "5", "total_tokens": "5"}},
        {
            "text": "It ",
            "usage": {"prompt_tokens": "5", "completion_tokens": "1", "total_tokens": "6"},
        },
        {
            "text": "rains.",
            "finish_reason": "FINISH_REASON_STOP",
            "usage": {"prompt_tokens": "5", "completion_tokens": "3", "total_tokens": "8"},
        },
    ]
    with pytest.raises(RpcError, match="TIME_LIMIT") as caught:
        tgis.answered({"stop_reason": "TIME_LIMIT"})
    assert caught.value.status is Status.DEADLINE_EXCEEDED


def test_localai(service: Callable[[str], Service]) -> None:
    localai = service("localai")
    required = ToolChoice(mode=ToolChoice.MODE_REQUIRED)
    found = localai.asked(with_tools(*CONVERSATION, tool_choice=required))
    assert [json.loads(found.pop(name)) for name in ("Tools", "ToolChoice")] == [
        [
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "description": "Tells it.",
                    "parameters": {"type": "object"},
                },
            }
        ],
        "required",
    ]
    calls = found["Messages"][2].pop("tool_calls")
    assert json.loads(calls) == [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
        }
    ]
    assert found == {
        "UseTokenizerTemplate": True,
        "Messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What's the weather?"},
            {"role": "assistant"},
            {"role": "tool", "content": "Rain", "tool_call_id": "c1", "name": "weather"},
        ],
        "Temperature": 0.8,
        "TopP": 1.0,
        "TypicalP": 1.0,
        "Seed": -1,
    }
    named = ToolChoice(mode=ToolChoice.MODE_REQUIRED, name="weather")
    found = localai.asked(with_tools(QUESTION, tool_choice=named))
    assert json.loads(found["ToolChoice"]) == {"type": "function", "function": {"name": "weather"}}
    assert localai.answered(
        {"chat_deltas": [{"content": "It "}]},
        {"chat_deltas": [{"tool_calls": [{"id": "c1", "name": "weather", "arguments": "{"}]}]},
        {"chat_deltas": [{"tool_calls": [{"arguments": "}"}]}], "tokens": 3, "prompt_tokens": 5},
    ) == [
        {"text": "It "},
        {"tool_calls": [{"id": "c1", "name": "weather", "arguments": "{"}]},
        {
            "tool_calls": [{"arguments": "}"}],
            "usage": {"prompt_tokens": "5", "completion_tokens": "3", "total_tokens": "8"},
        },
    ]


def test_a_request_that_names_another_model_is_not_found(
    service: Callable[[str], Service],
) -> None:
    completions = service("acme").completions
    assert completions.models == ("acme-small", "acme-large")
    assert completions.of("acme-large") is completions.of("")
    with pytest.raises(RpcError, match="There is no model 'other'") as caught:
        completions.of("other")
    assert caught.value.status is Status.NOT_FOUND


def test_without_models_any_is_taken(service: Callable[[str], Service]) -> None:
    completions = service("tgis").completions
    assert completions.models == ()
    assert completions.of("any") is completions.of("")


class Kinds(grpc.GenericRpcHandler):
    """Serves a method of any kind with the same messages."""

    def __init__(self, method: RpcMethod, answers: Sequence[bytes]) -> None:
        self._method = method
        self._answers = answers
        self.requests: list[bytes] = []

    def service(
        self, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        assert details.method == self._method.path
        make: Any = getattr(grpc, f"{self._kind}_rpc_method_handler")
        return make(getattr(self, f"_{self._kind}"))  # type: ignore[no-any-return]

    @property
    def _kind(self) -> str:
        kinds = self._method.client_streaming, self._method.server_streaming
        return "_".join("stream" if streams else "unary" for streams in kinds)

    async def _unary_unary(self, request: bytes, _: object) -> bytes:
        self.requests.append(request)
        return self._answers[0]

    async def _stream_stream(self, requests: Any, context: aio.ServicerContext[Any, Any]) -> None:
        async for request in requests:
            self.requests.append(request)
        for answer in self._answers:
            await context.write(answer)


ANY_KIND = """
package p;
service S {{ rpc M({asks} Ask) returns ({answers} Answer); }}
message Ask {{ string prompt = 1; }}
message Answer {{ string text = 1; }}
"""
ANY_KIND_MAPPING = """
completions: {service: p.S, method: M, request: {prompt: $prompt}, response: {text: text}}
"""


@pytest.mark.parametrize(
    ("kind", "texts"), [("", ["It "]), ("stream", ["It ", "rains."])], ids=["unary", "both stream"]
)
async def test_a_method_may_be_of_any_kind(
    compile_protos: Compile, tmp_path: Path, kind: str, texts: list[str]
) -> None:
    path = compile_protos(p=ANY_KIND.format(asks=kind, answers=kind))
    schema = schema_of(path)
    (tmp_path / "p.yaml").write_text(ANY_KIND_MAPPING)
    service = Service(schema, read(tmp_path / "p.yaml", schema))
    handler = Kinds(service.method, [service.written({"text": text}) for text in texts])
    server = aio.server()
    server.add_generic_rpc_handlers((handler,))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    options = ChannelOptions(max_message_bytes=1 << 20, keepalive=0, keepalive_timeout=1)
    channel = connect(Endpoint(address, address), options, None, Observer())
    try:
        request = service.completion.request(StreamCompletionRequest(messages=[QUESTION]))
        call = channel.stream(service.completion.method(), (request,), deadline=20)
        found = [answer.text async for answers in call for answer in answers]
    finally:
        await channel.close()
        await server.stop(None)
    assert found == texts
    assert handler.requests == [request.SerializeToString()]


def test_the_document_lists_every_variable() -> None:
    told = set(re.findall(r"`([a-z_.]+)`", section(DOCUMENT, "variables")))
    for name, kind in VARIABLES.items():
        assert name in told
        if isinstance(kind, Items):
            assert {*kind.names} <= told


def test_the_document_lists_what_can_be_ignored() -> None:
    told = re.findall(r"`([a-z_.]+)`", section(DOCUMENT, "ignorable"))
    assert told == sorted(IGNORABLE)
