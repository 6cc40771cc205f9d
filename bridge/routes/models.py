"""The models that a request can name, as each API lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from bridge.dialects.anthropic_messages import AnthropicErrorBody
from bridge.dialects.openai_chat import OpenAIErrorBody
from bridge.dialects.plain import ErrorBody
from bridge.request_id import HEADER
from bridge.state import RequestId, State
from bridge.status import Status
from bridge.upstream import RpcError
from bridge.upstream.completion import LIST_MODELS
from protos.completion.v1 import completion_pb2
from protos.completion.v1.completion_pb2 import ListModelsRequest

router = APIRouter(tags=["models"])

_DEADLINE_SECONDS = 10.0

# What Anthropic's documentation gives to a model of no known date.
NO_DATE = "1970-01-01T00:00:00Z"

NOT_LISTED = "The backend is not available, or can't tell."


class Model(BaseModel):
    """A model that a request can name."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(0, description="Not known; OpenAI's SDKs want a number.")
    owned_by: str = Field(description="Who or what runs it.")
    description: str
    context_tokens: int = Field(description="The most tokens of prompt and answer; 0: not known.")
    default: bool = Field(description="Whether it answers a request that names no model.")


class ModelList(BaseModel):
    """The models, the default one first."""

    object: Literal["list"] = "list"
    data: list[Model]


class AnthropicModel(BaseModel):
    """A model that a request can name."""

    type: Literal["model"] = "model"
    id: str
    display_name: str
    created_at: str = NO_DATE
    lifecycle: Literal["active"] = "active"


class AnthropicModelList(BaseModel):
    """The models, the default one first."""

    data: list[AnthropicModel]
    has_more: Literal[False] = False
    first_id: str | None
    last_id: str | None


async def _models(state: State, request_id: RequestId) -> Sequence[completion_pb2.Model]:
    completions = state.completions()
    if completions is not None:
        return [
            completion_pb2.Model(id=name, owned_by=completions.of(name).path.split("/")[1])
            for name in completions.models
        ]
    response = await state.backends.unary(
        LIST_MODELS, ListModelsRequest(), [(HEADER, request_id)], deadline=_DEADLINE_SECONDS
    )
    return response.models


Models = Annotated[Sequence[completion_pb2.Model], Depends(_models)]


@router.get(
    "/v1/models",
    responses={"default": {"model": ErrorBody, "description": NOT_LISTED}},
)
@router.get("/models", include_in_schema=False)
@router.get("/openai/v1/models", include_in_schema=False)
@router.get("/openai/models", include_in_schema=False)
async def list_models(models: Models) -> ModelList:
    """List the backend's models."""
    return ModelList(data=[_model(model, models) for model in models])


@router.get(
    "/openai/v1/models/{model_id:path}",
    tags=["openai"],
    responses={"default": {"model": OpenAIErrorBody, "description": "There is no such model."}},
)
async def get_model(model_id: str, models: Models) -> Model:
    """Return one of the backend's models."""
    for model in models:
        if model.id == model_id:
            return _model(model, models)
    raise _no_model(model_id)


@router.get(
    "/anthropic/v1/models",
    tags=["anthropic"],
    responses={"default": {"model": AnthropicErrorBody, "description": NOT_LISTED}},
)
async def list_anthropic_models(models: Models) -> AnthropicModelList:
    """List the backend's models as Anthropic does."""
    ids = [model.id for model in models]
    return AnthropicModelList(
        data=list(map(_anthropic_model, ids)),
        first_id=ids[0] if ids else None,
        last_id=ids[-1] if ids else None,
    )


@router.get(
    "/anthropic/v1/models/{model_id:path}",
    tags=["anthropic"],
    responses={"default": {"model": AnthropicErrorBody, "description": "There is no such model."}},
)
async def get_anthropic_model(model_id: str, models: Models) -> AnthropicModel:
    """Return one of the backend's models as Anthropic does."""
    if all(model.id != model_id for model in models):
        raise _no_model(model_id)
    return _anthropic_model(model_id)


def _no_model(model_id: str) -> RpcError:
    return RpcError(Status.NOT_FOUND, f"There is no model {model_id!r}.")


def _anthropic_model(model_id: str) -> AnthropicModel:
    return AnthropicModel(id=model_id, display_name=model_id)


def _model(model: completion_pb2.Model, models: Sequence[completion_pb2.Model]) -> Model:
    return Model(
        id=model.id,
        owned_by=model.owned_by,
        description=model.description,
        context_tokens=model.context_tokens,
        default=model.id == models[0].id,
    )
