"""SDKs in Python."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import litellm
import ollama
from anthropic import AsyncAnthropic
from httpx_sse import aconnect_sse
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, OpenAI
from pydantic import SecretStr

from tests.sdk.clients.client import Client, Question, Seen

MODEL = "script"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION: Any = {"name": "weather", "description": "Tells it.", "parameters": PARAMETERS}
OPENAI_TOOLS: Any = [{"type": "function", "function": FUNCTION}]
ANTHROPIC_TOOLS: Any = [
    {"name": "weather", "description": "Tells it.", "input_schema": PARAMETERS},
]


def _messages(question: Question) -> Any:
    return [{"role": "user", "content": question.content}]


def _had_enough(seen: Seen, question: Question) -> bool:
    if seen.text:
        question.has_text()
    return question.leave_after is not None and len(seen.text) >= question.leave_after


def _failed(seen: Seen, error: Exception) -> None:
    seen.error = type(error).__name__
    seen.message = str(error)


class OpenAIAsync(Client):
    """``openai.AsyncOpenAI``, with the helper ``.stream()``."""

    name = "openai (Python, async)"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        seen = Seen()
        options: Any = {"tools": OPENAI_TOOLS} if question.tools else {}
        client = AsyncOpenAI(base_url=f"{bridge}/v1", api_key="-", max_retries=question.retries)
        async with client:
            try:
                if question.stream:
                    await self._stream(client, question, seen, options)
                else:
                    whole = await client.chat.completions.create(
                        model=MODEL, messages=_messages(question), **options
                    )
                    _completion(seen, whole)
            except Exception as error:
                _failed(seen, error)
        return seen

    async def _stream(
        self, client: AsyncOpenAI, question: Question, seen: Seen, options: Any
    ) -> None:
        async with client.chat.completions.stream(
            model=MODEL,
            messages=_messages(question),
            stream_options={"include_usage": True},
            **options,
        ) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    seen.text += event.delta
                    if _had_enough(seen, question):
                        return
            # get_final_completion() raises an error when an answer ends at the limit of tokens.
            _completion(seen, stream.current_completion_snapshot)


def _completion(seen: Seen, completion: Any) -> None:
    choice = completion.choices[0]
    seen.text, seen.finish = choice.message.content or "", choice.finish_reason
    if completion.usage:
        seen.usage = completion.usage.prompt_tokens, completion.usage.completion_tokens
    seen.tool_calls = [
        (call.function.name, json.loads(call.function.arguments))
        for call in choice.message.tool_calls or ()
    ]


class OpenAIResponses(Client):
    """``openai.AsyncOpenAI``, with its Responses."""

    name = "openai (Python), Responses"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        seen = Seen()
        options: Any = {"model": MODEL, "input": question.content}
        if question.tools:
            options["tools"] = [{"type": "function", "strict": False, **FUNCTION}]
        client = AsyncOpenAI(base_url=f"{bridge}/v1", api_key="-", max_retries=question.retries)
        async with client:
            try:
                if question.stream:
                    await self._stream(client, question, seen, options)
                else:
                    self._response(seen, await client.responses.create(**options))
            except Exception as error:
                _failed(seen, error)
        return seen

    async def _stream(
        self, client: AsyncOpenAI, question: Question, seen: Seen, options: Any
    ) -> None:
        async with client.responses.stream(**options) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    seen.text += event.delta
                    if _had_enough(seen, question):
                        return
                elif event.type == "response.incomplete":
                    self._response(seen, event.response)
                    return
            self._response(seen, await stream.get_final_response())

    def _response(self, seen: Seen, response: Any) -> None:
        seen.text, seen.finish = response.output_text, response.status
        if response.incomplete_details:
            seen.finish = response.incomplete_details.reason
        if response.usage:
            seen.usage = response.usage.input_tokens, response.usage.output_tokens
        seen.tool_calls = [
            (item.name, json.loads(item.arguments))
            for item in response.output
            if item.type == "function_call"
        ]


class OpenAISync(Client):
    """``openai.OpenAI``, with its chunks."""

    name = "openai (Python)"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        return await asyncio.to_thread(self._ask, bridge, question)

    def _ask(self, bridge: str, question: Question) -> Seen:
        seen = Seen()
        options: Any = {"tools": OPENAI_TOOLS} if question.tools else {}
        with OpenAI(base_url=f"{bridge}/v1", api_key="-", max_retries=question.retries) as client:
            try:
                if question.stream:
                    self._stream(client, question, seen, options)
                else:
                    whole = client.chat.completions.create(
                        model=MODEL, messages=_messages(question), **options
                    )
                    _completion(seen, whole)
            except Exception as error:
                _failed(seen, error)
        return seen

    def _stream(self, client: OpenAI, question: Question, seen: Seen, options: Any) -> None:
        calls: dict[int, list[str]] = {}
        with client.chat.completions.create(
            model=MODEL,
            messages=_messages(question),
            stream=True,
            stream_options={"include_usage": True},
            **options,
        ) as stream:
            for chunk in stream:
                if chunk.usage:
                    seen.usage = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
                for choice in chunk.choices:
                    seen.text += choice.delta.content or ""
                    seen.finish = choice.finish_reason or seen.finish
                    for delta in choice.delta.tool_calls or ():
                        call = calls.setdefault(delta.index, ["", ""])
                        call[0] += (delta.function and delta.function.name) or ""
                        call[1] += (delta.function and delta.function.arguments) or ""
                if _had_enough(seen, question):
                    return
        seen.tool_calls = [(name, json.loads(arguments)) for name, arguments in calls.values()]


class Anthropic(Client):
    """``anthropic.AsyncAnthropic``, with the helper ``.stream()``."""

    name = "anthropic (Python)"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        seen = Seen()
        options: Any = {"tools": ANTHROPIC_TOOLS} if question.tools else {}
        options |= {"model": MODEL, "max_tokens": 1024, "messages": _messages(question)}
        async with AsyncAnthropic(
            base_url=bridge, api_key="-", max_retries=question.retries
        ) as client:
            try:
                if question.stream:
                    await self._stream(client, question, seen, options)
                else:
                    self._message(seen, await client.messages.create(**options))
            except Exception as error:
                _failed(seen, error)
        return seen

    async def _stream(
        self, client: AsyncAnthropic, question: Question, seen: Seen, options: Any
    ) -> None:
        async with client.messages.stream(**options) as stream:
            async for text in stream.text_stream:
                seen.text += text
                if _had_enough(seen, question):
                    return
            self._message(seen, await stream.get_final_message())

    def _message(self, seen: Seen, message: Any) -> None:
        seen.text = "".join(block.text for block in message.content if block.type == "text")
        seen.finish = message.stop_reason
        seen.usage = message.usage.input_tokens, message.usage.output_tokens
        seen.tool_calls = [
            (block.name, block.input) for block in message.content if block.type == "tool_use"
        ]


class LangChain(Client):
    """``langchain_openai.ChatOpenAI``."""

    name = "LangChain"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        seen = Seen()
        model: Any = ChatOpenAI(
            model=MODEL,
            base_url=f"{bridge}/v1",
            api_key=SecretStr("-"),
            max_retries=question.retries,
            stream_usage=True,
            use_responses_api=False,
        )
        if question.tools:
            model = model.bind_tools(OPENAI_TOOLS)
        try:
            if question.stream:
                await self._stream(model.astream(question.content), question, seen)
            else:
                self._message(seen, await model.ainvoke(question.content))
        except Exception as error:
            _failed(seen, error)
        return seen

    async def _stream(
        self, chunks: AsyncIterator[AIMessageChunk], question: Question, seen: Seen
    ) -> None:
        whole: Any = None
        async for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
            seen.text += str(chunk.content)
            if _had_enough(seen, question):
                await chunks.aclose()  # type: ignore[attr-defined]
                return
        self._message(seen, whole)

    def _message(self, seen: Seen, message: Any) -> None:
        seen.text = str(message.content)
        seen.finish = message.response_metadata.get("finish_reason")
        if usage := message.usage_metadata:
            seen.usage = usage["input_tokens"], usage["output_tokens"]
        seen.tool_calls = [(call["name"], call["args"]) for call in message.tool_calls]


class LiteLLM(Client):
    """``litellm.acompletion``."""

    name = "LiteLLM"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        seen = Seen()
        options: Any = {"tools": OPENAI_TOOLS} if question.tools else {}
        if question.stream:
            options |= {"stream": True, "stream_options": {"include_usage": True}}
        try:
            answer: Any = await litellm.acompletion(
                model=f"openai/{MODEL}",
                messages=_messages(question),
                api_base=f"{bridge}/v1",
                api_key="-",
                max_retries=question.retries,
                **options,
            )
            if not question.stream:
                _completion(seen, answer)
                return seen
            chunks = []
            async for chunk in answer:
                chunks.append(chunk)
                for choice in chunk.choices:
                    seen.text += choice.delta.content or ""
                if _had_enough(seen, question):
                    await answer.aclose()
                    return seen
            _completion(seen, litellm.stream_chunk_builder(chunks))
        except Exception as error:
            _failed(seen, error)
        return seen


class Ollama(Client):
    """``ollama.AsyncClient``."""

    name = "ollama (Python)"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        seen = Seen()
        client = ollama.AsyncClient(host=f"{bridge}/ollama")
        options: Any = {"tools": OPENAI_TOOLS} if question.tools else {}
        options |= {"model": MODEL, "messages": _messages(question)}
        try:
            if question.stream:
                async for part in await client.chat(stream=True, **options):
                    self._response(seen, part)
                    if _had_enough(seen, question):
                        break
            else:
                self._response(seen, await client.chat(**options))
        except Exception as error:
            _failed(seen, error)
        finally:
            await client.close()  # type: ignore[no-untyped-call]
        return seen

    def _response(self, seen: Seen, response: ollama.ChatResponse) -> None:
        seen.text += response.message.content or ""
        seen.finish = response.done_reason or seen.finish
        if response.eval_count is not None and response.prompt_eval_count is not None:
            seen.usage = response.prompt_eval_count, response.eval_count
        seen.tool_calls += [
            (call.function.name, dict(call.function.arguments))
            for call in response.message.tool_calls or ()
        ]


class HttpxSse(Client):
    """``httpx-sse``, which reads the plain wire as any client does that knows SSE."""

    name = "httpx-sse"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        seen = Seen()
        body = {"model": MODEL, "messages": _messages(question), "stream": question.stream}
        try:
            async with httpx.AsyncClient(base_url=bridge) as client:
                if question.stream:
                    await self._stream(client, body, question, seen)
                else:
                    response = await client.post("/v1/chat/completions", json=body)
                    self._object(seen, response.json())
        except Exception as error:
            _failed(seen, error)
        return seen

    async def _stream(
        self, client: httpx.AsyncClient, body: Any, question: Question, seen: Seen
    ) -> None:
        done = False
        async with aconnect_sse(client, "POST", "/v1/chat/completions", json=body) as source:
            async for event in source.aiter_sse():
                done = event.data == "[DONE]"
                if done:
                    break
                self._object(seen, event.json())
                if seen.error or _had_enough(seen, question):
                    return
        if not done:
            raise EOFError("the stream has no [DONE]")

    def _object(self, seen: Seen, found: Any) -> None:
        if found.get("error"):
            seen.error, seen.message = found["code"], found["error"]
            return
        seen.text += found["content"]
        seen.finish = found.get("finish_reason", seen.finish)
        if usage := found.get("usage"):
            seen.usage = usage["prompt_tokens"], usage["completion_tokens"]
