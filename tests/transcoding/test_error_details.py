"""What a backend adds to a status reaches the client, whatever form the answer has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import status_pb2
from google.rpc.error_details_pb2 import (
    BadRequest,
    DebugInfo,
    ErrorInfo,
    Help,
    LocalizedMessage,
    PreconditionFailure,
    QuotaFailure,
    RequestInfo,
    ResourceInfo,
    RetryInfo,
)

from bridge.settings import Settings
from tests.conftest import http_client, on_each_transport, serving_bridge
from tests.transcoding.backend import schema_of, serving
from tests.transcoding.conftest import Compile

pytestmark = [on_each_transport, pytest.mark.usefixtures("no_error_is_logged")]

# It imports nothing of `google.rpc`.
BANK = """
package bank.v1;
service Bank {
  rpc Pay(Payment) returns (Payment);
  rpc Watch(Payment) returns (stream Payment);
}
message Payment { string status = 1; int32 number = 2; }
"""
PAY = "/bank.v1.Bank/Pay"
WATCH = "/bank.v1.Bank/Watch"

DETAILS = [
    BadRequest(
        field_violations=[BadRequest.FieldViolation(field="number", description="is too large")]
    ),
    ErrorInfo(reason="NO_MONEY", domain="bank", metadata={"currency": "CHF"}),
    RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
    LocalizedMessage(locale="de-CH", message="Zu wenig Geld."),
    QuotaFailure(violations=[QuotaFailure.Violation(subject="a", description="daily")]),
    PreconditionFailure(violations=[PreconditionFailure.Violation(type="T", subject="a")]),
    RequestInfo(request_id="r", serving_data="s"),
    ResourceInfo(resource_type="account", resource_name="a"),
    Help(links=[Help.Link(description="Why", url="https://bank.example/why")]),
    DebugInfo(stack_entries=["a", "b"], detail="d"),
]
LOCALIZED = {
    "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
    "locale": "de-CH",
    "message": "Zu wenig Geld.",
}
WRITTEN = [
    {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "number", "description": "is too large"}],
    },
    {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "NO_MONEY",
        "domain": "bank",
        "metadata": {"currency": "CHF"},
    },
    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.500s"},
    LOCALIZED,
    {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"subject": "a", "description": "daily"}],
    },
    {
        "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
        "violations": [{"type": "T", "subject": "a"}],
    },
    {
        "@type": "type.googleapis.com/google.rpc.RequestInfo",
        "requestId": "r",
        "servingData": "s",
    },
    {
        "@type": "type.googleapis.com/google.rpc.ResourceInfo",
        "resourceType": "account",
        "resourceName": "a",
    },
    {
        "@type": "type.googleapis.com/google.rpc.Help",
        "links": [{"description": "Why", "url": "https://bank.example/why"}],
    },
    {
        "@type": "type.googleapis.com/google.rpc.DebugInfo",
        "stackEntries": ["a", "b"],
        "detail": "d",
    },
]


async def fail(context: Any, name: str) -> None:
    code = grpc.StatusCode[name]
    status = status_pb2.Status(code=code.value[0], message="so it is")
    for detail in DETAILS:
        status.details.add().Pack(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(code, "so it is")


def pay(answer: Any) -> Any:
    async def pay(request: Any, context: Any) -> Any:
        await fail(context, request.status)

    return pay


def watch(answer: Any) -> Any:
    async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
        for number in range(request.number):
            yield answer(number=number + 1)
        await fail(context, request.status)

    return watch


@pytest.fixture(scope="module")
async def bank(compile_protos: Compile, transport: str) -> AsyncIterator[str]:
    schema = schema_of(compile_protos(bank=BANK))
    async with serving(schema, {"Pay": pay, "Watch": watch}) as address:
        chosen = Settings(backend=address, services=["bank.v1.Bank"], shutdown_grace=0)
        async with serving_bridge(chosen) as running:
            yield running.url


@pytest.fixture
async def http(bank: str) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(bank, timeout=20) as http:
        yield http


@pytest.mark.parametrize("path", [PAY, WATCH])
async def test_a_status_has_all_of_its_details(http: httpx.AsyncClient, path: str) -> None:
    response = await http.post(path, json={"status": "RESOURCE_EXHAUSTED"})
    assert response.status_code == 429
    assert response.headers["retry-after"] == "2"
    assert response.json() == {"code": 8, "message": "so it is", "details": WRITTEN}


FORMS: dict[str, Callable[[bytes], Any]] = {
    "text/event-stream": lambda body: json.loads(
        body.partition(b"event: failure\ndata: ")[2].partition(b"\n\n")[0]
    ),
    "application/x-ndjson": lambda body: json.loads(body.splitlines()[-1]),
    "application/json": lambda body: json.loads(body)[-1],
}


@pytest.mark.parametrize("accept", FORMS)
async def test_a_stream_that_fails_has_all_details_in_its_last_words(
    http: httpx.AsyncClient, accept: str
) -> None:
    body = {"status": "RESOURCE_EXHAUSTED", "number": 2}
    response = await http.post(WATCH, json=body, headers={"accept": accept})
    assert response.status_code == 200
    assert b'"number":2' in response.content
    error = {"code": 8, "message": "so it is", "details": WRITTEN}
    assert FORMS[accept](response.content) == {"error": error}


@pytest.mark.parametrize("status", ["UNKNOWN", "INTERNAL", "DATA_LOSS"])
async def test_of_a_failure_inside_a_server_only_what_is_for_users_is_told(
    http: httpx.AsyncClient, status: str
) -> None:
    headers = {"x-request-id": "r"}
    response = await http.post(PAY, json={"status": status}, headers=headers)
    assert response.status_code == 500
    told = response.json()
    assert told["message"] == "The request failed. Request id: r"
    assert told["details"] == [LOCALIZED]
    body = {"status": status, "number": 1}
    headers["accept"] = "application/x-ndjson"
    stream = await http.post(WATCH, json=body, headers=headers)
    *_, last = stream.text.splitlines()
    assert json.loads(last) == {"error": told}
