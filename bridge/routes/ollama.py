"""Ollama's API, for what speaks it: ``/ollama``, or ``/api`` if a setting says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from bridge.dialects.ollama import OllamaDialect, OllamaError
from bridge.dialects.ollama_request import OllamaChatRequest, OllamaGenerateRequest
from bridge.routes.answering import Answering, PerRequest
from bridge.routes.models import NO_DATE, NOT_LISTED, Models

router = APIRouter(prefix="/ollama/api", tags=["ollama"])

_LINES = """{"model":"small","created_at":"...","message":{"role":"assistant","content":"Hello"},\
"done":false}
{"model":"small","created_at":"...","message":{"role":"assistant","content":""},"done":true,\
"done_reason":"stop"}
"""


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Lines of JSON; on a failure after the first, one with `error` in the place "
        'of that with `done`. With `"stream": false`: one object.',
        "content": {
            "application/x-ndjson": {"schema": {"type": "string"}, "example": _LINES},
            "application/json": {"schema": {"type": "object"}},
        },
    },
    "default": {
        "model": OllamaError,
        "description": "The request is not valid, or failed before its first message.",
    },
}


class OllamaModel(BaseModel):
    """A model that a request can name."""

    name: str
    model: str
    modified_at: str = NO_DATE
    size: int = 0
    digest: str = ""


class OllamaModels(BaseModel):
    """The models, the default one first."""

    models: list[OllamaModel]


@router.post("/chat", response_class=Response, responses=_RESPONSES)
async def chat(body: OllamaChatRequest, answering: PerRequest) -> Response:
    """Go on with a chat as Ollama does."""
    return _answer(body, answering, chat=True)


@router.post("/generate", response_class=Response, responses=_RESPONSES)
async def generate(body: OllamaGenerateRequest, answering: PerRequest) -> Response:
    """Answer a prompt as Ollama does."""
    return _answer(body, answering, chat=False)


@router.get("/tags", responses={"default": {"model": OllamaError, "description": NOT_LISTED}})
async def list_models(models: Models) -> OllamaModels:
    """List the backend's models as Ollama does."""
    return OllamaModels(models=[OllamaModel(name=m.id, model=m.id) for m in models])


def _answer(
    body: OllamaChatRequest | OllamaGenerateRequest, answering: Answering, *, chat: bool
) -> Response:
    dialect = OllamaDialect(datetime.now(UTC).isoformat(), body.model, chat=chat)
    return answering.answer(body.to_rpc(), dialect, stream=body.stream is not False)
