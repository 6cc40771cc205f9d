"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from bridge.state import State
from bridge.verdict import SHUTTING_DOWN

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process lives."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether requests can be served."""

    status: Literal["ready", "not ready"]
    reason: str | None = None


@router.get("/healthz")
async def healthz() -> Alive:
    """Say that the process lives. Does not ask the backend."""
    return Alive()


@router.get(
    "/readyz",
    response_model_exclude_none=True,
    responses={503: {"model": Readiness, "description": "No request can be served; says why."}},
)
async def readyz(state: State, response: Response) -> Readiness:
    """Say whether a backend says that it serves, and whether the bridge still takes requests."""
    obstacle = SHUTTING_DOWN if state.streams.draining else state.backends.obstacle()
    if obstacle is None:
        return Readiness(status="ready")
    response.status_code = 503
    return Readiness(status="not ready", reason=str(obstacle))
