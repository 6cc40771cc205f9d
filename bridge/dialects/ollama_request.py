"""Requests of Ollama's API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from bridge.dialects.fields import JsonObject, Model, Text, Unsupported, written
from protos.completion.v1 import completion_pb2
from protos.completion.v1.completion_pb2 import Role, StreamCompletionRequest

_ROLES = {
    "system": Role.ROLE_SYSTEM,
    "user": Role.ROLE_USER,
    "assistant": Role.ROLE_ASSISTANT,
    "tool": Role.ROLE_TOOL,
}


class Called(Model):
    """A function and its arguments."""

    name: Text
    arguments: JsonObject = Field({})


class ToolCall(Model):
    """A call that the model has asked for. Ollama's have no ids."""

    function: Called


class OllamaMessage(Model):
    """One message of the conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Text | None = None
    tool_calls: list[ToolCall] | None = None
    images: Unsupported = None


class Function(Model):
    """A function that the model may ask for."""

    name: Text
    description: Text | None = None
    parameters: JsonObject | None = None


class Tool(Model):
    """A tool that the model may ask for."""

    type: Literal["function"] = "function"
    function: Function

    def to_rpc(self) -> completion_pb2.Tool:
        """Return the tool of the RPC."""
        function = self.function
        return completion_pb2.Tool(
            name=function.name,
            description=function.description or "",
            parameters=written(function.parameters) if function.parameters else "",
        )


class Options(Model):
    """How to answer. What only sets up a model (`num_ctx`, `num_gpu`, ...) is ignored."""

    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    num_predict: Annotated[
        int | None, Field(ge=-2, le=2**31 - 1, description="Below 1: no limit.")
    ] = None
    seed: int | None = None
    stop: list[Text] | Text | None = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None


class _OllamaRequest(Model):
    model: Annotated[
        Text, Field(description="A model of `/api/tags`; the backend's default if empty.")
    ] = ""
    stream: bool | None = True
    format: Literal["json", ""] | JsonObject | None = None
    options: Options | None = None
    logprobs: Unsupported = None

    def _to_rpc(
        self, messages: Sequence[completion_pb2.Message], tools: Sequence[Tool] = ()
    ) -> StreamCompletionRequest:
        options = self.options or Options()
        limit, seed, stop = options.num_predict, options.seed, options.stop
        return StreamCompletionRequest(
            model=self.model,
            messages=messages,
            temperature=options.temperature,
            top_p=options.top_p,
            max_tokens=limit if limit is not None and limit > 0 else None,
            # Ollama's are of 64 bits with a sign.
            seed=None if seed is None else seed % 2**64,
            stop=[stop] if isinstance(stop, str) else stop or (),
            frequency_penalty=options.frequency_penalty,
            presence_penalty=options.presence_penalty,
            tools=[tool.to_rpc() for tool in tools],
            response_format=self._response_format(),
        )

    def _response_format(self) -> completion_pb2.ResponseFormat | None:
        if not self.format:
            return None
        schema = written(self.format) if isinstance(self.format, dict) else ""
        return completion_pb2.ResponseFormat(schema=schema)


class OllamaChatRequest(_OllamaRequest):
    """A chat to go on with."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "", "messages": [{"role": "user", "content": "Hello!"}]}]
        },
    )

    messages: Annotated[list[OllamaMessage], Field(min_length=1)]
    tools: list[Tool] | None = None

    def to_rpc(self) -> StreamCompletionRequest:
        """Return the request of the RPC, with what is absent here absent there.

        The calls of tools get ids in their order, and so do their results.
        """
        return self._to_rpc(list(self._messages()), self.tools or ())

    def _messages(self) -> Iterator[completion_pb2.Message]:
        called = answered = 0
        for message in self.messages:
            calls = [
                completion_pb2.ToolCall(
                    id=f"call_{number}",
                    name=call.function.name,
                    arguments=written(call.function.arguments),
                )
                for number, call in enumerate(message.tool_calls or (), called)
            ]
            called += len(calls)
            is_result = message.role == "tool"
            yield completion_pb2.Message(
                role=_ROLES[message.role],
                content=message.content or "",
                tool_calls=calls,
                tool_call_id=f"call_{answered}" if is_result else "",
            )
            answered += is_result


class OllamaGenerateRequest(_OllamaRequest):
    """A prompt to answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "", "prompt": "Hello!"}]})

    prompt: Text
    system: Text | None = None
    images: Unsupported = None
    suffix: Unsupported = None
    template: Unsupported = None
    context: Unsupported = None
    raw: Unsupported = None

    def to_rpc(self) -> StreamCompletionRequest:
        """Return the request of the RPC, with what is absent here absent there."""
        messages = [completion_pb2.Message(role=Role.ROLE_USER, content=self.prompt)]
        if self.system is not None:
            system = completion_pb2.Message(role=Role.ROLE_SYSTEM, content=self.system)
            messages.insert(0, system)
        return self._to_rpc(messages)
