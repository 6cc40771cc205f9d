"""Serves in several processes, each on a socket of its own, and ends them together."""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.context import SpawnProcess
from multiprocessing.process import parent_process

import structlog
from fastapi import FastAPI
from uvicorn.server import HANDLED_SIGNALS

from bridge.access.counts import SharedCounts
from bridge.app import create_app
from bridge.listeners import withdraw
from bridge.server import Server
from bridge.settings import Settings
from bridge.telemetry.log import configure_logging

_log = structlog.get_logger("bridge.workers")

# Two starts of the same worker are at least so far apart.
_PAUSE_SECONDS = 1.0

# What a worker may take to end beyond what its settings allow, before it is killed.
_OVERTIME_SECONDS = 5

_CAN_NOT_START = 3


class Workers:
    """The processes that serve, as many as the settings say.

    SIGTERM and SIGINT end each by SIGTERM; a second one reaches them, too. A worker that dies is
    replaced. New connections to it wait for the next one; when that can't be started, or dies
    before it serves, the others get them. When this process dies, its workers end as after a
    SIGTERM.

    Args:
        settings: Of each worker.
        sockets: Of each worker, listening.
    """

    def __init__(self, settings: Settings, sockets: Sequence[Sequence[socket.socket]]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._settings = settings
        self._sockets = sockets
        self._counts = SharedCounts(len(sockets), by_client=bool(settings.max_streams_per_client))
        self._served = spawn.RawArray(ctypes.c_bool, len(sockets))
        self._processes: set[SpawnProcess] = set()
        self._stopping = asyncio.Event()
        self._failed = False

    async def serve(self) -> int:
        """Serve until a signal; return the exit status: 0 after a clean end, else 1."""
        loop = asyncio.get_running_loop()
        for handled in HANDLED_SIGNALS:
            loop.add_signal_handler(handled, self._stop)
        limit = asyncio.create_task(self._kill_the_late())
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(len(self._sockets)):
                    group.create_task(self._keep(number))
        finally:
            limit.cancel()
        for handled in HANDLED_SIGNALS:
            # The loop's end would restore the default, and one more signal would kill the process.
            loop.remove_signal_handler(handled)
            signal.signal(handled, signal.SIG_IGN)
        return 1 if self._failed else 0

    def _stop(self) -> None:
        self._stopping.set()
        for process in self._processes:
            process.terminate()
        for sockets in self._sockets:
            # What this process has open is listened on, though nobody would accept.
            for listener in sockets:
                listener.close()

    async def _keep(self, number: int) -> None:
        first = True
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            next_start = loop.time() + _PAUSE_SECONDS
            self._served[number] = False
            try:
                status = await self._run(number)
            except OSError as error:
                _log.error("a worker can't be started", worker=number, reason=str(error))
            else:
                self._ended(number, status, first=first)
            first = False
            if not self._served[number] and not self._stopping.is_set():
                withdraw(self._sockets[number])
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_start):
                    await self._stopping.wait()

    async def _run(self, number: int) -> int | None:
        spawn = multiprocessing.get_context("spawn")
        place = (number, self._settings, self._sockets[number], self._counts, self._served)
        process = spawn.Process(target=_serve, args=place)
        process.start()
        self._processes.add(process)
        try:
            await _end_of(process)
        except BaseException:
            # Python waits for its children when it exits.
            process.kill()
            raise
        finally:
            self._processes.discard(process)
            process.join()
            self._counts.clear(number)
        return process.exitcode

    def _ended(self, number: int, status: int | None, *, first: bool) -> None:
        if self._stopping.is_set():
            # One that was still starting is ended by the signal itself.
            self._failed |= status not in {0, -signal.SIGTERM}
        elif status == _CAN_NOT_START and first:
            # What is set is wrong, and another one would fail in the same way.
            self._failed = True
            self._stop()
        else:
            _log.error("a worker died", worker=number, exit_status=status)

    async def _kill_the_late(self) -> None:
        await self._stopping.wait()
        allowed = self._settings.shutdown_delay + self._settings.shutdown_grace
        await asyncio.sleep(allowed + _OVERTIME_SECONDS)
        for process in self._processes:
            _log.error("a worker did not end, and is killed", pid=process.pid)
            process.kill()


async def _end_of(process: SpawnProcess) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)


class _Worker(Server):
    """A server that ends when the process that has made it does.

    Args:
        app: The application.
        settings: Of the bridge.
        serves: Called when it serves.
    """

    def __init__(self, app: FastAPI, settings: Settings, serves: Callable[[], None]) -> None:
        super().__init__(app, settings)
        self._serves = serves

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._serves()
        parent = parent_process()
        assert parent is not None
        asyncio.get_running_loop().add_reader(parent.sentinel, self._orphaned, parent.sentinel)

    def _orphaned(self, sentinel: int) -> None:
        asyncio.get_running_loop().remove_reader(sentinel)
        self.handle_exit(signal.SIGTERM, None)


def _serve(
    number: int,
    settings: Settings,
    sockets: list[socket.socket],
    counts: SharedCounts,
    served: ctypes.Array[ctypes.c_bool],
) -> None:
    # Ctrl-C at a terminal goes to all processes of the group. These get it handed on, and twice
    # would be the second signal.
    os.setpgid(0, 0)
    configure_logging(settings.log_format)
    structlog.contextvars.bind_contextvars(worker=number)
    app = create_app(settings, counts=counts.of_worker(number))
    server = _Worker(app, settings, partial(served.__setitem__, number, True))
    server.run(sockets)
    sys.exit(0 if server.started else _CAN_NOT_START)
