"""What the routes share while the application runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from bridge.open_streams import OpenStreams
from bridge.retry import RetryBudget
from bridge.settings import Settings
from bridge.telemetry.record import StreamHook
from bridge.transcoding.completions import Completions
from bridge.upstream import Backends


@dataclass(frozen=True, slots=True)
class BridgeState:
    """The settings, the backends, and the streams that are open.

    Attributes:
        completions: Returns what completes conversations, if it isn't ``completion.v1``.
    """

    settings: Settings
    backends: Backends
    streams: OpenStreams
    hook: StreamHook | None
    completions: Callable[[], Completions | None] = lambda: None
    retry_budget: RetryBudget = field(default_factory=RetryBudget)


# FastAPI runs what is no coroutine in another thread.
async def _state(request: Request) -> BridgeState:
    state = request.app.state.bridge
    assert isinstance(state, BridgeState)
    return state


async def _request_id(request: Request) -> str:
    request_id = request.state.request_id
    assert isinstance(request_id, str)
    return request_id


State = Annotated[BridgeState, Depends(_state)]
RequestId = Annotated[str, Depends(_request_id)]
