"""Runs a backend and a bridge together until Ctrl-C or SIGTERM: what ``make run`` does.

Both take their settings from the environment, as ever (``BACKEND_...``, ``BRIDGE_...``).
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

READY_SECONDS = 120
TAIL_LINES = 20
LONGEST_LINE = 1 << 24
SIGNALS = (signal.SIGINT, signal.SIGTERM)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def main() -> None:
    """Run both until a signal, or until one of them ends.

    Raises:
        SystemExit: with 0 after a signal and a clean end, else 1.
    """
    backend = free_address("BACKEND", 50051)
    bridge = free_address("BRIDGE", 8000)
    raise SystemExit(asyncio.run(run(backend, bridge)))


@dataclass(frozen=True)
class Address:
    """Where a server listens. As text: how to reach it from this machine."""

    host: str
    port: int

    def __str__(self) -> str:
        host = WILDCARDS.get(self.host, self.host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def free_address(prefix: str, default_port: int) -> Address:
    """Return where the server of ``prefix`` is to listen, having seen that it can.

    Raises:
        SystemExit: it can't, or the settings are wrong; the message names the variable.
    """
    host = setting(prefix, "HOST", "127.0.0.1").strip("[]")
    given = setting(prefix, "PORT", str(default_port))
    if not given.isdecimal() or int(given) > 65535:
        refuse(f"{prefix}_PORT must be a number from 0 to 65535, got {given!r}.")
    port = int(given)
    try:
        return Address(host, listen_once(host, port))
    except socket.gaierror as error:
        refuse(f"{prefix}_HOST must be an address or a name, got {host!r}: {error.strerror}.")
    except OSError as error:
        why = os.strerror(error.errno or 0)
        reason = f"The {prefix.lower()} can't listen on {host}:{port}: {why}."
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            refuse(f"{reason} Use another port: {prefix}_PORT={next_free(host, port)} make run")
        refuse(f"{reason} Set {prefix}_HOST to an address of this machine.")


def setting(prefix: str, name: str, default: str) -> str:
    """Read a setting as the servers do: from the environment, else their TOML file."""
    if value := os.environ.get(f"{prefix}_{name}"):
        return value
    # What is wrong with the file, the server says better when it reads it.
    with suppress(KeyError, OSError, tomllib.TOMLDecodeError):
        file = Path(os.environ[f"{prefix}_CONFIG"]).read_text()
        return str(tomllib.loads(file)[name.lower()])
    return default


def listen_once(host: str, port: int) -> int:
    """Listen for a moment, and return the port: the one given, or a free one for 0.

    Raises:
        OSError: the port is taken, or the address is none of this machine's.
    """
    with ExitStack() as sockets:
        for family, *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            opened = socket.create_server((where[0], port), family=family)
            port = sockets.enter_context(opened).getsockname()[1]
    return port


def next_free(host: str, port: int) -> int:
    """Return the first port above ``port`` that needs no privilege and is free."""
    for candidate in range(max(port, 1023) + 1, 65536):
        with suppress(OSError):
            return listen_once(host, candidate)
    return 0


def refuse(message: str) -> NoReturn:
    """Exit with 1 and say why."""
    sys.exit(message)


class Child:
    """A server of ours in a process of its own.

    Its log is kept back until ``show_log()``; then it passes through, line by line.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._shown = False
        self.ended = asyncio.create_task(self._follow())

    async def _follow(self) -> int:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            text = line.decode(errors="replace").rstrip()
            if not sys.stdout.isatty():
                text = COLOURS.sub("", text)
            self.tail.append(f"{self.name:7} | {text}")
            if self._shown:
                say(self.tail[-1])
        return await self.process.wait()

    def show_log(self) -> None:
        """Print what was kept back, and from now on every line as it comes."""
        if not self._shown:
            self._shown = True
            say(*self.tail)

    def stop(self) -> None:
        """Ask it to end. Asked twice, it cuts what is still open."""
        with suppress(ProcessLookupError):
            self.process.terminate()

    def last_words(self) -> str:
        """Say how it ended, and what it logged before."""
        status = self.process.returncode or 0
        how = f"with exit status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
        lines = "\n".join(self.tail) or "(it said nothing)"
        return f"The {self.name} ended {how}. Its last lines:\n{lines}"


@contextmanager
def stopped_after_kill(pid: int) -> Iterator[None]:
    """Stop the process ``pid`` also if this one is killed, and can't do so itself.

    The shell reads a pipe to which nobody writes, and which closes when this process is gone.
    """
    executor = subprocess.Popen(
        ["sh", "-c", 'read -r _; kill "$1"', "sh", str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        executor.kill()
        executor.communicate()


@asynccontextmanager
async def running(name: str, env: dict[str, str]) -> AsyncIterator[Child]:
    """Run ``python -m name serve``; stop it when the block is left, and wait for its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", name, "serve"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=env,
        limit=LONGEST_LINE,
        # Ctrl-C reaches the whole group, and the backend has to outlive the bridge.
        start_new_session=True,
    )
    child = Child(name, process)
    with stopped_after_kill(process.pid):
        try:
            yield child
        finally:
            child.stop()
            await child.ended


async def run(backend_at: Address, bridge_at: Address) -> int:
    """Run both servers, and return the exit status."""
    stop = asyncio.Event()
    children: list[Child] = []

    def on_signal() -> None:
        if stop.is_set():
            for child in children:
                child.stop()
        stop.set()

    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    env = environment(backend_at, bridge_at)
    say("Starting the backend and the bridge ...")
    async with running("backend", env) as backend, running("bridge", env) as bridge:
        children += (bridge, backend)
        failure = await attend(stop, children, backend_at, bridge_at)
        if failure is None:
            say("", "Stopping. Ctrl-C again cuts the answers that are still open.")
        else:
            sys.stderr.write(f"{failure}\n")
    ignore_signals()
    if failure is not None:
        return 1
    unclean = [child for child in children if child.process.returncode]
    for child in unclean:
        sys.stderr.write(f"{child.last_words()}\n")
    return 1 if unclean else 0


def ignore_signals() -> None:
    """Let no signal kill this process from now on, while it exits."""
    for number in SIGNALS:
        # The loop's end would restore the default.
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


def environment(backend_at: Address, bridge_at: Address) -> dict[str, str]:
    """Return the variables of the servers: those of this process, and the addresses."""
    return {
        "BACKEND_LOG_FORMAT": "text",
        "BRIDGE_LOG_FORMAT": "text",
        **os.environ,
        "BACKEND_PORT": str(backend_at.port),
        "BRIDGE_PORT": str(bridge_at.port),
        "BRIDGE_BACKEND": setting("BRIDGE", "BACKEND", str(backend_at)),
    }


async def attend(
    stop: asyncio.Event, children: list[Child], backend_at: Address, bridge_at: Address
) -> str | None:
    """Wait for ``stop`` and return None, or return what went wrong before it."""
    started = time.monotonic()
    ready = asyncio.create_task(until_ready(backend_at, bridge_at))
    ends = [asyncio.create_task(stop.wait()), *(child.ended for child in children)]
    await asyncio.wait((ready, *ends), timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if ready.done() and not any(end.done() for end in ends):
        for child in children:
            child.show_log()
        say(f"Ready after {time.monotonic() - started:.1f} s.", *how_to_use(bridge_at))
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    ends[0].cancel()
    if stop.is_set():
        return None
    for child in children:
        if child.ended.done():
            return child.last_words()
    lines = "\n".join(line for child in children for line in child.tail)
    return f"Not ready after {READY_SECONDS} s. The last lines of both:\n{lines}"


async def until_ready(backend_at: Address, bridge_at: Address) -> None:
    """Wait until the backend accepts connections and the bridge says that it's ready."""
    while await first_line(backend_at) is None:  # noqa: ASYNC110 - nothing signals it
        await asyncio.sleep(0.05)
    request = b"GET /readyz HTTP/1.0\r\n\r\n"
    while b" 200 " not in (await first_line(bridge_at, request) or b""):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def first_line(address: Address, request: bytes = b"") -> bytes | None:
    """Connect, send ``request`` and return the answer's first line; None if nobody listens."""
    host = WILDCARDS.get(address.host, address.host)
    try:
        reader, writer = await asyncio.open_connection(host, address.port)
        try:
            writer.write(request)
            return await reader.readline() if request else b""
        finally:
            writer.close()
    except OSError:
        return None


def how_to_use(bridge_at: Address) -> tuple[str, ...]:
    """Return the lines that say where the page is, and how to ask without it."""
    question = {"role": "user", "content": "Why is the sky blue?"}
    body = shlex.quote(json.dumps({"messages": [question], "stream": True}))
    url = f"http://{bridge_at}"
    return (
        "",
        f"Page:  {url}/",
        f"API:   {url}/docs",
        f"Ask:   curl -N {url}/v1/chat/completions -H 'Content-Type: application/json' -d {body}",
        "",
        "Ctrl-C stops both. Their logs follow.",
    )


def say(*lines: str) -> None:
    """Print ``lines`` at once."""
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
