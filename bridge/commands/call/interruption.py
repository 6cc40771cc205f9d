"""What ends ``bridge call`` before its RPC has ended."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from types import TracebackType
from typing import Self

from bridge.commands.call.output import Output

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Cancels the task that has entered it, at a signal or when nobody reads the output any more.

    A second signal ends the process at once.

    Args:
        output: What is read.

    Attributes:
        signal: The signal, or SIGPIPE for the other; None if there was neither.
    """

    def __init__(self, output: Output) -> None:
        self.signal: signal.Signals | None = None
        self._output = output

    @property
    def status(self) -> int:
        """The exit status of a process that the signal has ended, as shells have it."""
        assert self.signal is not None
        return 128 + self.signal

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._interrupt, number)
        self._output.on_closed(partial(self._interrupt, signal.SIGPIPE))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._forget()

    def _interrupt(self, number: signal.Signals) -> None:
        self._forget()
        self.signal = number
        self._task.cancel()

    def _forget(self) -> None:
        for number in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
        self._output.forget()
