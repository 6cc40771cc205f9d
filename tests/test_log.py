"""What the logs of both servers show, and what they do not."""

import json
import logging
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
import structlog

import backend.log
import bridge.telemetry.log


@pytest.fixture(autouse=True)
def _logging_is_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    level, structlog_before = root.level, structlog.get_config()
    # Those of pytest would be closed.
    monkeypatch.setattr(root, "handlers", [])
    yield
    root.setLevel(level)
    structlog.configure(**structlog_before)


@pytest.fixture(params=[backend.log, bridge.telemetry.log], ids=["backend", "bridge"])
def configure_logging(request: pytest.FixtureRequest) -> Callable[[str], None]:
    module: ModuleType = request.param
    configure: Callable[[str], None] = module.configure_logging
    return configure


def fail_with_a_secret() -> None:
    secret = "sk-this-is-secret"  # noqa: S105
    raise ValueError(len(secret))


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_traceback_shows_no_local_variables(
    configure_logging: Callable[[str], None], capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    configure_logging(log_format)
    try:
        fail_with_a_secret()
    except ValueError:
        structlog.get_logger("test").exception("failed", model="m")
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert "fail_with_a_secret" in written
    assert "sk-this-is-secret" not in written


def test_lines_of_libraries_have_the_same_format(
    configure_logging: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("json")
    logging.getLogger("library").warning("careful %s", "now")
    record = json.loads(capsys.readouterr().err)
    assert record["event"] == "careful now"
    assert record["level"] == "warning"
    assert record["timestamp"].endswith("Z")


def test_auto_is_json_when_stderr_is_no_terminal(
    configure_logging: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("auto")
    structlog.get_logger("test").info("hello", number=1)
    assert json.loads(capsys.readouterr().err)["number"] == 1


def test_httpx_does_not_log_requests(capsys: pytest.CaptureFixture[str]) -> None:
    backend.log.configure_logging("json")
    logging.getLogger("httpx").info("HTTP Request: POST http://user:password@host/")
    assert capsys.readouterr().err == ""
