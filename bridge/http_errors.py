"""Failures outside a stream: an HTTP status, and a body of the same shape as an error frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from bridge import request_id
from bridge.deadlines import InvalidTimeoutError
from bridge.failure import Failure, describe
from bridge.status import Status
from bridge.upstream import RpcError


class FieldViolation(BaseModel):
    """A field of the request that is wrong."""

    field: str = Field(description="Its path, as in `messages.0.role`.")
    description: str


class ErrorBody(BaseModel):
    """Why a request was not served."""

    error: str
    code: str = Field(description="The name of a gRPC status.")
    retryable: bool = Field(description="Whether the same request may succeed a little later.")
    fields: list[FieldViolation] | None = Field(
        None, description="Each wrong field; only when the body is JSON but not a valid request."
    )


_STATUS_OF_HTTP = {
    401: Status.UNAUTHENTICATED,
    403: Status.PERMISSION_DENIED,
    404: Status.NOT_FOUND,
    405: Status.UNIMPLEMENTED,
    408: Status.DEADLINE_EXCEEDED,
    429: Status.RESOURCE_EXHAUSTED,
    500: Status.INTERNAL,
    503: Status.UNAVAILABLE,
}


def add_error_handlers(app: FastAPI) -> None:
    """Make every failure of ``app`` outside a stream an ``ErrorBody``."""
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(InvalidTimeoutError, _invalid_timeout)
    app.add_exception_handler(RpcError, _rpc_error)
    app.add_exception_handler(Exception, _unexpected)


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    for problem in problems:
        if problem["type"] == "json_invalid":
            reason, position = problem["ctx"]["error"], problem["loc"][-1]
            return answer(400, f"The body is not JSON: {reason}, at character {position}.")
        if isinstance(problem.get("input"), bytes):
            return answer(415, "The body must be sent with 'Content-Type: application/json'.")
    return _unprocessable(problems)


def _unprocessable(problems: Sequence[dict[str, Any]]) -> Response:
    violations = [
        FieldViolation(
            field=".".join(str(part) for part in problem["loc"][1:]),
            description=problem["msg"].removeprefix("Value error, "),
        )
        for problem in problems
    ]
    message = "; ".join(f"{v.field or 'body'}: {v.description}" for v in violations)
    return answer(422, message, fields=[v.model_dump() for v in violations])


async def _invalid_timeout(request: Request, error: Exception) -> Response:
    return answer(400, f"{error}.")


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400 and (reason := _why_unreadable(error.__cause__)):
        return answer(400, f"The body is not JSON that can be read: {reason}.")
    return answer(error.status_code, error.detail, headers=error.headers)


def _why_unreadable(cause: BaseException | None) -> str | None:
    # What Python's parser raises besides JSONDecodeError, and FastAPI hides.
    match cause:
        case RecursionError():
            return "it is nested too deeply"
        case UnicodeDecodeError():
            return "it is not UTF-8"
        case ValueError():
            return "a number in it has too many digits"
    return None


async def _rpc_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RpcError)
    show = request.app.state.bridge.settings.show_error_details
    failure = describe(error, request.state.request_id, show_details=show)
    return JSONResponse(failure.as_json(), status_code=failure.status.http)


async def _unexpected(request: Request, error: Exception) -> Response:
    # Starlette answers this one outside all middleware; it raises `error` again, and the
    # server logs it.
    response = await _rpc_error(request, RpcError(Status.INTERNAL))
    response.headers[request_id.HEADER] = request.state.request_id
    return response


def error_body(http_status: int, message: str) -> dict[str, str | bool]:
    """Return the ``ErrorBody`` of a response of ``http_status``."""
    status = _STATUS_OF_HTTP.get(http_status, Status.INVALID_ARGUMENT)
    return Failure(message, status).as_json()


def answer(
    http_status: int,
    message: str,
    *,
    fields: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response of ``http_status`` whose body is an ``ErrorBody``."""
    content = error_body(http_status, message)
    return JSONResponse(
        content if fields is None else {**content, "fields": fields},
        status_code=http_status,
        headers=headers,
    )
