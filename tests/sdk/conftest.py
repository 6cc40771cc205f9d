"""What the tests with the real clients share."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel

import backend.server
from bridge.settings import Settings
from bridge.upstream.transport import Transport
from tests.conftest import RunningBridge, http_client, serving_bridge
from tests.sdk.answers import WIRES, Answered, answers
from tests.sdk.clients.client import Client

# Otherwise LiteLLM asks the network for prices, as soon as it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

_SETTINGS = [
    *("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"),
    *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"),
]


@pytest.fixture(autouse=True)
def _no_error_is_logged(no_error_is_logged: None) -> None:
    """Hold for every test of a client."""


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
async def sdk(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """Keep what an SDK runs in for all tests with it."""
    async with request.param as client:
        yield client


@pytest.fixture(scope="session")
async def patient_bridge(
    backend_server: backend.server.Server, transport: Transport
) -> AsyncIterator[RunningBridge]:
    """Serve a bridge that leaves it to its clients to try again."""
    settings = Settings(
        backend=backend_server.address, shutdown_grace=0, retries=0, api_chat="ui-message"
    )
    async with serving_bridge(settings) as running:
        yield running


@pytest.fixture(scope="session")
def patient_url(patient_bridge: RunningBridge) -> str:
    return patient_bridge.url


@pytest.fixture(scope="session")
async def answered(patient_bridge: RunningBridge) -> list[Answered]:
    """Return all that the bridge can send, on all wires."""
    async with http_client(patient_bridge.url) as http:
        return [one for wire in WIRES for one in await answers(http, wire)]


def unknown_fields(value: object, path: str = "") -> list[str]:
    """Return what an SDK's model has been given and doesn't know, at any depth."""
    found: list[str] = []
    if isinstance(value, BaseModel):
        found += [f"{path}.{name}" for name in value.model_extra or ()]
        for name in type(value).model_fields:
            found += unknown_fields(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            found += unknown_fields(one, f"{path}[{index}]")
    return found


def assert_is_of_its_type(found: BaseModel) -> None:
    """See whether the SDK's own model takes it strictly, and knows all that is in it."""
    type(found).model_validate(found.model_dump(exclude_unset=True), strict=True)
    assert unknown_fields(found) == []
