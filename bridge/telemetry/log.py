"""One format for every log line of the process: the bridge's own, uvicorn's, any library's."""

from __future__ import annotations

import logging
import sys
import time
from typing import Literal

import structlog

_SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


_ACCEPT_FAILED = "socket.accept() out of system resource"
_ACCEPT_PAUSE_SECONDS = 10


class _SeldomAcceptFailures(logging.Filter):
    """Lets one line in ten seconds through that says that no descriptor is left.

    asyncio tries again every second, but as many times as its backlog is long, and logs each
    (https://github.com/python/cpython/issues/151615).
    """

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether ``record`` is to be logged."""
        if not record.getMessage().startswith(_ACCEPT_FAILED):
            return True
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _ACCEPT_PAUSE_SECONDS
        return True


def configure_logging(log_format: Literal["auto", "json", "text"]) -> None:
    """Send all log lines to stderr.

    Args:
        log_format: ``json`` for one JSON object a line, ``text`` for people, ``auto`` for text
            when stderr is a terminal and JSON when it's not.
    """
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    # structlog shows local variables in tracebacks unless told not to: conversations among them.
    renderers: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if text
        else [
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.getLogger("asyncio").addFilter(_SeldomAcceptFailures())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
