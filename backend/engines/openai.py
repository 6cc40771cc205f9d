"""Asks an OpenAI-compatible HTTP API."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from email.utils import parsedate_to_datetime

import grpc
import httpx
import orjson
from httpx_sse import EventSource

from backend.engines.chat import Answer, error_status, request_body
from backend.engines.engine import Call, Delta
from backend.settings import Settings
from backend.status import RpcError, retry_info
from protos.completion.v1.completion_pb2 import Model

PREFIX = "openai/"
DONE = "[DONE]"
CONNECT_TIMEOUT = 10.0
MAX_ERROR_BODY = 65_536
MAX_RETRY_AFTER = 86_400.0


class OpenAIEngine:
    """Passes requests on to ``{base}/chat/completions``.

    Args:
        client: Has the base URL, the key and the timeouts.
        models: Ids of the models to list.
        key: The API key, which no message may contain; empty if there is none.
    """

    def __init__(self, client: httpx.AsyncClient, models: Sequence[str], key: str) -> None:
        self._client = client
        self._models = models
        self._key = key

    def models(self) -> Sequence[Model]:
        """List the models that the settings name."""
        return [Model(id=model, owned_by="openai") for model in self._models]

    def serves(self, model: str) -> bool:
        """Whether ``model`` is listed, or has the prefix ``openai/``."""
        return model in self._models or (model.startswith(PREFIX) and model != PREFIX)

    async def complete(self, call: Call) -> AsyncGenerator[Delta]:
        """Stream the upstream's answer.

        Raises:
            RpcError: the upstream's error; UNAVAILABLE when it's away or cuts its answer short;
                DEADLINE_EXCEEDED when it's silent; INTERNAL when it makes no sense.
        """
        answer = Answer(call.request.choices)
        try:
            async with (
                self._stream(call) as response,
                aclosing(EventSource(response).aiter_sse()) as events,
            ):
                async for event in events:
                    if event.data == DONE:
                        answer.finished = True
                        break
                    for delta in answer.read(self._parse(event.data)):
                        yield delta
        except httpx.HTTPError as error:
            raise network_status(error) from None
        if not answer.finished:
            raise RpcError(grpc.StatusCode.UNAVAILABLE, "the model's server cut its answer short")
        for delta in answer.end():
            yield delta

    @asynccontextmanager
    async def _stream(self, call: Call) -> AsyncIterator[httpx.Response]:
        model = call.model if call.model in self._models else call.model.removeprefix(PREFIX)
        headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
        if call.request_id:
            headers["X-Request-Id"] = call.request_id
        body = orjson.dumps(request_body(call.request, model))
        async with self._client.stream(
            "POST", "chat/completions", content=body, headers=headers
        ) as response:
            if response.status_code != httpx.codes.OK:
                raise await self._error(response)
            if response.headers.get("Content-Type", "").partition(";")[0] != "text/event-stream":
                raise await self._no_stream(response)
            yield response

    async def _error(self, response: httpx.Response) -> RpcError:
        error = error_status(response.status_code, await self._body(response))
        seconds = retry_after(response.headers.get("Retry-After", ""), time.time())
        if seconds is None:
            return error
        return RpcError(error.code, error.message, [*error.details, retry_info(seconds)])

    async def _no_stream(self, response: httpx.Response) -> RpcError:
        body = await self._body(response)
        if isinstance(body, dict) and body.get("error"):
            return error_status(None, body)
        return RpcError(
            grpc.StatusCode.INTERNAL, "the model's server did not answer with an event stream"
        )

    async def _body(self, response: httpx.Response) -> object:
        received = bytearray()
        async for piece in response.aiter_bytes():
            received += piece
            if len(received) > MAX_ERROR_BODY:
                return None
        try:
            return self._parse(received.decode(errors="replace"))
        except RpcError:
            return None

    def _parse(self, data: str) -> object:
        if self._key:
            # Errors quote requests, and may quote their headers.
            data = data.replace(self._key, "***")
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            raise RpcError(
                grpc.StatusCode.INTERNAL, "the model's server sent a chunk that is not JSON"
            ) from None


@asynccontextmanager
async def openai_engine(settings: Settings) -> AsyncIterator[OpenAIEngine]:
    """Hold the connections to the upstream, and close them afterwards."""
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    async with httpx.AsyncClient(
        base_url=settings.openai_base_url or "",
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx.Timeout(settings.openai_timeout, connect=CONNECT_TIMEOUT, pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
    ) as client:
        yield OpenAIEngine(client, settings.openai_models, key)


def network_status(error: httpx.HTTPError) -> RpcError:
    """Turn an error of the connection into a gRPC status that tells no address and no key."""
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.ProxyError():
            return RpcError(grpc.StatusCode.UNAVAILABLE, "the model's server can't be reached")
        case httpx.TimeoutException():
            return RpcError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "the model's server was silent for too long"
            )
    return RpcError(grpc.StatusCode.UNAVAILABLE, "the connection to the model's server broke")


def retry_after(value: str, now: float) -> float | None:
    """Read a ``Retry-After`` header, a number of seconds or a date (RFC 9110, 10.2.3).

    Args:
        value: What the header says; empty if there is none.
        now: Seconds since 1970, to count a date from.

    Returns:
        Seconds from now, at most a day; None if there is no such header.
    """
    if value.isascii() and value.isdecimal():
        return min(float(value), MAX_RETRY_AFTER)
    try:
        return min(max(0.0, parsedate_to_datetime(value).timestamp() - now), MAX_RETRY_AFTER)
    except ValueError:
        return None
