"""Failures outside a stream: an HTTP status, and a body in the form of the request's wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from bridge import request_id
from bridge.deadlines import InvalidTimeoutError
from bridge.dialects.errors import ErrorForm
from bridge.dialects.plain import PlainErrors
from bridge.error_details import bad_request
from bridge.failure import Failure, describe
from bridge.status import Status
from bridge.transcoding.request_error import RequestError
from bridge.upstream import RpcError

_PLAIN = PlainErrors()

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
    """Make ``app`` answer every failure outside a stream in the form of the request's wire."""
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(InvalidTimeoutError, _invalid_timeout)
    app.add_exception_handler(RpcError, _rpc_error)
    app.add_exception_handler(RequestError, _no_message)
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
    fields = [
        (
            ".".join(str(part) for part in problem["loc"][1:]),
            problem["msg"].removeprefix("Value error, "),
        )
        for problem in problems
    ]
    message = "; ".join(f"{path or 'body'}: {description}" for path, description in fields)
    failure = Failure(message, Status.INVALID_ARGUMENT, fields)
    return ErrorResponse(lambda form: form.invalid, failure)


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
    return ErrorResponse(lambda form: form.http(failure.status), failure)


async def _no_message(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return await _rpc_error(request, bad_request([(error.field, error.reason)]))


async def _unexpected(request: Request, error: Exception) -> Response:
    # Starlette answers this one outside all middleware; it raises `error` again, and the
    # server logs it.
    known = request.state.request_id
    failure = describe(RpcError(Status.INTERNAL), known, show_details=False)
    return ErrorResponse(lambda _: 500, failure, {request_id.HEADER: known})


def answer(http_status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response of ``http_status`` that says ``message``."""
    return ErrorResponse(lambda _: http_status, _failure(http_status, message), headers)


def error_body(http_status: int, message: str) -> dict[str, Any]:
    """Return the body of a response of ``http_status`` to what is not yet a request."""
    return _PLAIN.body(_failure(http_status, message))


def _failure(http_status: int, message: str) -> Failure:
    return Failure(message, _STATUS_OF_HTTP.get(http_status, Status.INVALID_ARGUMENT))


class ErrorResponse(Response):
    """Tells of a failure in the form of the request: that of its wire, or of its route.

    Args:
        http_status: Returns the status, which may be a matter of the form.
        failure: What to tell.
        headers: Further headers.
    """

    def __init__(
        self,
        http_status: Callable[[ErrorForm], int],
        failure: Failure,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._http_status = http_status
        self._failure = failure
        self._further_headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        state = scope.get("state", {})
        form = state.get("error_form", _PLAIN)
        failure = replace(self._failure, request_id=state.get("request_id"))
        content, http_status = form.content(failure), self._http_status(form)
        response = Response(content, http_status, self._further_headers, form.media_type)
        await response(scope, receive, send)
