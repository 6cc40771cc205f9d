"""The clients, as a parameter of tests."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from tests.sdk.clients.all import CLIENTS

# Pydantic warns of LiteLLM's own types and fields.
_OWN_WARNINGS = {"LiteLLM": pytest.mark.filterwarnings("ignore")}


def each_client_but(names: Collection[str]) -> pytest.MarkDecorator:
    """Return what runs a test with each client as ``sdk``, but those that are named."""
    chosen = [
        pytest.param(client, id=client.name, marks=_OWN_WARNINGS.get(client.name, ()))
        for client in CLIENTS
        if client.name not in names
    ]
    return pytest.mark.parametrize("sdk", chosen, indirect=True)
