"""OpenAI's Responses: https://platform.openai.com/docs/api-reference/responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge import sse
from bridge.dialects.openai_chat import OpenAIErrors, token_logprobs
from bridge.failure import Failure
from bridge.status import Status
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import StreamCompletionResponse, ToolCallDelta

# Of the reasons why a model stops, those that leave an answer incomplete.
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class _Item:
    """An item of the output, as far as it has come.

    Args:
        index: Its place in the output.
        start: What it is before anything of it has come.
        part: The name of what grows in it.

    Attributes:
        open: Whether its end has not been told.
    """

    def __init__(self, index: int, start: Mapping[str, Any], part: str) -> None:
        self.index = index
        self.start = start
        self.part = part
        self.texts: list[str] = []
        self.logprobs: list[dict[str, Any]] = []
        self.open = True

    @property
    def item_id(self) -> str:
        """Its id."""
        return str(self.start["id"])

    @property
    def text(self) -> str:
        """What has come of it."""
        return "".join(self.texts)

    def place(self) -> dict[str, Any]:
        """Return where events of it belong."""
        place: dict[str, Any] = {"item_id": self.item_id, "output_index": self.index}
        return place | {"content_index": 0} if self.part == "output_text" else place

    def content(self) -> dict[str, Any]:
        """Return the one part of a message."""
        text = {"type": "output_text", "text": self.text, "annotations": []}
        return {**text, "logprobs": self.logprobs}

    def ended(self, status: str) -> dict[str, Any]:
        """Return the item as it is at its end."""
        if self.part == "output_text":
            return {**self.start, "status": status, "content": [self.content()]}
        return {**self.start, "status": status, "arguments": self.text}


class OpenAIResponsesDialect:
    """Writes a stream as the events of a response, or its whole as a response.

    Args:
        response_id: The id of the answer.
        created_at: The time, in seconds since 1970.
        request: What the response repeats of the request.
        logprobs: Whether the probabilities of tokens were asked for.
    """

    media_type = sse.MEDIA_TYPE
    errors = OpenAIErrors()

    def __init__(
        self, response_id: str, created_at: int, request: Mapping[str, Any], *, logprobs: bool
    ) -> None:
        self._response = {
            "id": response_id,
            "object": "response",
            "created_at": created_at,
            **request,
        }
        self._logprobs = logprobs
        self._sequence_number = 0
        self._items: list[_Item] = []
        self._open_text: _Item | None = None
        self._open_calls: dict[int, _Item] = {}

    def message(self, message: StreamCompletionResponse) -> bytes:
        """Return the events of what is new, and before the first those that begin a response."""
        events = b"" if self._sequence_number else self._begin(message.model)
        if message.text:
            events += self._text(message)
        for call in message.tool_calls:
            events += self._tool_call(call)
        return events

    def heartbeat(self) -> bytes:
        """Return a comment, which the SDKs pass over."""
        return sse.PING

    def error(self, failure: Failure) -> bytes:
        """Return ``response.failed``, the ``error`` that the SDKs raise, and ``[DONE]``."""
        body = self.errors.body(failure)["error"]
        limited = failure.status is Status.RESOURCE_EXHAUSTED
        code = "rate_limit_exceeded" if limited else "server_error"
        error = {"code": code, "message": body["message"]}
        failed = self._whole("failed", "incomplete") | {"error": error}
        told = {key: body[key] for key in ("code", "message", "param")}
        return (
            (b"" if self._sequence_number else self._begin(""))
            + self._event("response.failed", response=failed)
            + self._event("error", **told, error=body)
            + sse.DONE
        )

    def closing(self, account: StreamAccount) -> bytes:
        """Return what ends the items, the response as a whole, and ``[DONE]``."""
        events = b"" if self._sequence_number else self._begin("")
        events += b"".join(self._end(item) for item in self._items if item.open)
        response = self._finished(account)
        return events + self._event(f"response.{response['status']}", response=response) + sse.DONE

    def whole(self, account: StreamAccount) -> dict[str, Any]:
        """Return the response."""
        assert account.answer is not None
        choice = account.answer.choice(0)
        self._response["model"] = account.model
        if choice.text:
            item = self._new_text()
            item.texts.append(choice.text)
            if self._logprobs:
                item.logprobs = token_logprobs(choice.logprobs)
        for index, call in enumerate(choice.tool_calls):
            delta = ToolCallDelta(index=index, id=call.id, name=call.name)
            self._new_call(delta).texts.append(call.arguments)
        return self._finished(account)

    def _begin(self, model: str) -> bytes:
        self._response["model"] = model or self._response["model"]
        response = self._whole("in_progress", "in_progress")
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def _event(self, kind: str, **fields: Any) -> bytes:
        payload = {"type": kind, "sequence_number": self._sequence_number, **fields}
        self._sequence_number += 1
        return sse.event_frame(payload)

    def _text(self, message: StreamCompletionResponse) -> bytes:
        events, item = b"", self._open_text
        if item is None:
            item = self._new_text()
            events = self._event(
                "response.output_item.added", output_index=item.index, item=item.start
            ) + self._event("response.content_part.added", **item.place(), part=item.content())
        item.texts.append(message.text)
        logprobs = token_logprobs(message.logprobs) if self._logprobs else []
        item.logprobs += logprobs
        return events + self._event(
            "response.output_text.delta",
            **item.place(),
            delta=message.text,
            logprobs=_brief(logprobs),
        )

    def _tool_call(self, delta: ToolCallDelta) -> bytes:
        events, item = b"", self._open_calls.get(delta.index)
        if item is None:
            events = self._end_text()
            item = self._new_call(delta)
            events += self._event(
                "response.output_item.added", output_index=item.index, item=item.start
            )
        if delta.arguments:
            item.texts.append(delta.arguments)
            events += self._event(
                "response.function_call_arguments.delta", **item.place(), delta=delta.arguments
            )
        return events

    def _new_text(self) -> _Item:
        start = {
            "id": f"msg_{self._response['id']}_{len(self._items)}",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        self._open_text = _Item(len(self._items), start, "output_text")
        self._items.append(self._open_text)
        return self._open_text

    def _new_call(self, delta: ToolCallDelta) -> _Item:
        start = {
            "id": f"fc_{self._response['id']}_{len(self._items)}",
            "type": "function_call",
            "status": "in_progress",
            "call_id": delta.id,
            "name": delta.name,
            "arguments": "",
        }
        item = self._open_calls[delta.index] = _Item(
            len(self._items), start, "function_call_arguments"
        )
        self._items.append(item)
        return item

    def _end_text(self) -> bytes:
        item, self._open_text = self._open_text, None
        return b"" if item is None else self._end(item)

    def _end(self, item: _Item) -> bytes:
        item.open = False
        if item.part == "output_text":
            done = self._event(
                "response.output_text.done",
                **item.place(),
                text=item.text,
                logprobs=_brief(item.logprobs),
            ) + self._event("response.content_part.done", **item.place(), part=item.content())
        else:
            done = self._event(
                "response.function_call_arguments.done",
                **item.place(),
                arguments=item.text,
            )
        return done + self._event(
            "response.output_item.done", output_index=item.index, item=item.ended("completed")
        )

    def _finished(self, account: StreamAccount) -> dict[str, Any]:
        reason = _INCOMPLETE.get(account.finish_reason or "")
        response = self._whole("incomplete" if reason else "completed", "completed")
        response["incomplete_details"] = {"reason": reason} if reason else None
        if (usage := account.usage) is not None:
            response["usage"] = {
                "input_tokens": usage.prompt_tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": usage.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage.total_tokens,
            }
        return response

    def _whole(self, status: str, items: str) -> dict[str, Any]:
        output = [item.ended(items) for item in self._items]
        return {**self._response, "status": status, "output": output}


def _brief(tokens: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return tokens as events have them: without their bytes, which the part of a message has."""
    return [
        {
            "token": token["token"],
            "logprob": token["logprob"],
            "top_logprobs": [
                {"token": other["token"], "logprob": other["logprob"]}
                for other in token["top_logprobs"]
            ],
        }
        for token in tokens
    ]
