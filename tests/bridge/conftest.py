"""What the tests of the bridge share."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.bridge.stepped import SteppedBackend, serving_stepped


@pytest.fixture
async def stepped() -> AsyncIterator[SteppedBackend]:
    async with serving_stepped() as backend:
        yield backend


@pytest.fixture(autouse=True)
def _no_error_is_logged(
    caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Fail a test in which uvicorn or asyncio logs an error, unless it is marked `logs_errors`."""
    yield
    if request.node.get_closest_marker("logs_errors") is None:
        logged = [*caplog.get_records("setup"), *caplog.get_records("call")]
        assert [record.getMessage() for record in logged if record.levelname == "ERROR"] == []
