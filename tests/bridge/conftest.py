"""What the tests of the bridge share."""

from collections.abc import AsyncIterator

import pytest

from tests.bridge.stepped import SteppedBackend, serving_stepped


@pytest.fixture
async def stepped() -> AsyncIterator[SteppedBackend]:
    async with serving_stepped() as backend:
        yield backend


@pytest.fixture(autouse=True)
def _no_error_is_logged(no_error_is_logged: None) -> None:
    """Hold for every test of the bridge."""
