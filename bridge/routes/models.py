"""The models that a request can name."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bridge.http_errors import ErrorBody
from bridge.request_id import HEADER
from bridge.state import RequestId, State
from bridge.upstream.completion import LIST_MODELS
from protos.completion.v1.completion_pb2 import ListModelsRequest

router = APIRouter(tags=["models"])

_DEADLINE_SECONDS = 10.0


class Model(BaseModel):
    """A model that a request can name."""

    id: str
    object: Literal["model"] = "model"
    owned_by: str = Field(description="Who or what runs it.")
    description: str
    context_tokens: int = Field(description="The most tokens of prompt and answer; 0: not known.")
    default: bool = Field(description="Whether it answers a request that names no model.")


class ModelList(BaseModel):
    """The models, the default one first."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get(
    "/v1/models",
    responses={503: {"model": ErrorBody, "description": "The backend is not available."}},
)
@router.get("/models", include_in_schema=False)
async def list_models(state: State, request_id: RequestId) -> ModelList:
    """List the backend's models."""
    response = await state.backends.unary(
        LIST_MODELS, ListModelsRequest(), [(HEADER, request_id)], deadline=_DEADLINE_SECONDS
    )
    return ModelList(
        data=[
            Model(
                id=model.id,
                owned_by=model.owned_by,
                description=model.description,
                context_tokens=model.context_tokens,
                default=position == 0,
            )
            for position, model in enumerate(response.models)
        ]
    )
