"""The completion service: from an RPC to an engine, and from its deltas to messages."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass

import grpc
import structlog

from backend.engines.catalog import Catalog
from backend.engines.engine import Call
from backend.status import RpcError
from backend.validation import validate
from protos.completion.v1 import completion_pb2, completion_pb2_grpc
from protos.completion.v1.completion_pb2 import (
    ListModelsRequest,
    ListModelsResponse,
    StreamCompletionRequest,
    StreamCompletionResponse,
)

SERVICE = completion_pb2.DESCRIPTOR.services_by_name["CompletionService"].full_name
SHUTTING_DOWN = "the server is shutting down"

Context = grpc.aio.ServicerContext[StreamCompletionRequest, StreamCompletionResponse]

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Record:
    model: str
    request_id: str
    messages: int = 0
    code: grpc.StatusCode = grpc.StatusCode.OK
    error: str = ""


class CompletionService(completion_pb2_grpc.CompletionServiceServicer):
    """Serves ``completion.v1.CompletionService``.

    Args:
        catalog: The engines, and which of them answers for a model.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._open: set[asyncio.Timeout] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @property
    def open_calls(self) -> int:
        """How many calls of StreamCompletion have not ended."""
        return len(self._open)

    async def wait_until_idle(self) -> None:
        """Wait until no call is open."""
        await self._idle.wait()

    def refuse_calls(self) -> None:
        """Answer the calls to come with UNAVAILABLE."""
        self._closed = True

    def end_calls(self) -> None:
        """End all open calls, and those to come, with UNAVAILABLE."""
        self.refuse_calls()
        now = asyncio.get_running_loop().time()
        for limit in self._open:
            if not limit.expired():
                limit.reschedule(now)

    # The stub has generators in mind. A coroutine that writes ends its engine the moment that it
    # is cancelled; grpc.aio leaves a cancelled generator to the garbage collector.
    async def StreamCompletion(  # type: ignore[override]  # noqa: N802
        self, request: StreamCompletionRequest, context: Context
    ) -> None:
        """Answer ``request``, and log how that ended."""
        started = time.perf_counter()
        metadata = dict(context.invocation_metadata() or ())
        record = _Record(
            request.model or self._catalog.default, str(metadata.get("x-request-id", ""))
        )
        try:
            await self._answer_until_ended(request, context, record)
        except RpcError as error:
            record.code, record.error = error.code, error.message
            context.set_code(error.code)
            context.set_details(error.message)
            context.set_trailing_metadata(
                (*context.trailing_metadata(), *error.trailing_metadata())
            )
        except asyncio.CancelledError:
            record.code = _cancelled(context)
            raise
        except grpc.aio.InternalError:
            # The client has gone while a message waited to be written. grpc.aio tells that to
            # the log as an error, unless the call then ends with a status.
            record.code = _cancelled(context)
            context.set_code(record.code)
        except Exception:
            record.code = grpc.StatusCode.INTERNAL
            logger.exception("engine failed", model=record.model, request_id=record.request_id)
            context.set_code(grpc.StatusCode.INTERNAL)
            context.set_details("the engine failed; the backend's log tells why")
        finally:
            logger.info(
                "call ended",
                method=f"/{SERVICE}/StreamCompletion",
                model=record.model,
                code=record.code.name,
                error=record.error,
                messages=record.messages,
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
                request_id=record.request_id,
            )

    async def _answer_until_ended(
        self, request: StreamCompletionRequest, context: Context, record: _Record
    ) -> None:
        limit = asyncio.timeout(None)
        self._open.add(limit)
        self._idle.clear()
        try:
            if self._closed:
                raise RpcError(grpc.StatusCode.UNAVAILABLE, SHUTTING_DOWN)
            async with limit:
                await self._answer(request, context, record)
        except TimeoutError:
            if not limit.expired():
                raise
            raise RpcError(grpc.StatusCode.UNAVAILABLE, SHUTTING_DOWN) from None
        finally:
            self._open.remove(limit)
            if not self._open:
                self._idle.set()

    async def _answer(
        self, request: StreamCompletionRequest, context: Context, record: _Record
    ) -> None:
        validate(request)
        call = Call(request, record.model, record.request_id)
        engine = self._catalog.find(record.model)
        model = record.model
        try:
            async with aclosing(engine.complete(call)) as deltas:
                async for delta in deltas:
                    await context.write(
                        StreamCompletionResponse(
                            index=record.messages,
                            text=delta.text,
                            finish_reason=delta.finish_reason,
                            usage=delta.usage,
                            model=model,
                            choice=delta.choice,
                            tool_calls=delta.tool_calls,
                            logprobs=delta.logprobs,
                            system_fingerprint=delta.system_fingerprint,
                        )
                    )
                    record.messages += 1
                    model = ""
        finally:
            context.set_trailing_metadata(tuple(call.trailing_metadata.items()))

    async def ListModels(  # noqa: N802
        self, request: ListModelsRequest, context: object
    ) -> ListModelsResponse:
        """List the models, the default one first."""
        return ListModelsResponse(models=self._catalog.models())


def _cancelled(context: Context) -> grpc.StatusCode:
    late = context.time_remaining() == 0
    return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
