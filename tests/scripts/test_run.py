"""``scripts/run.py``, which ``make run`` calls: real processes, real signals."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.conftest import eventually
from tests.processes import server_process

ROOT = Path(__file__).parents[2]
LAST_LINE_OF_BANNER = "Ctrl-C stops both. Their logs follow."

pytestmark = pytest.mark.timeout(180)


class Run:
    """A running ``scripts/run.py``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, text: str, seconds: float = 60) -> str:
        """Read standard output up to a line that contains ``text``, and return that line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            async for line in self.process.stdout:
                self.lines.append(line.decode().rstrip("\n"))
                if text in self.lines[-1]:
                    return self.lines[-1]
        raise AssertionError(f"ended without {text!r}: {self.lines} {await self.errors()}")

    async def errors(self) -> str:
        """Read standard error to its end."""
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    async def wait(self, seconds: float = 60) -> int:
        """Read the rest of the output, and return the exit status."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            self.lines += (await self.process.stdout.read()).decode().splitlines()
            return await self.process.wait()

    def server(self, name: str) -> psutil.Process:
        """Return the child process that runs ``name serve``."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if child.cmdline()[1:] == ["-m", name, "serve"])

    def children(self) -> list[psutil.Process]:
        """Return all child processes, the watching shells among them."""
        return psutil.Process(self.process.pid).children(recursive=True)


@asynccontextmanager
async def run_py(**env: str) -> AsyncIterator[Run]:
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "BACKEND_"))}
    variables |= {"BACKEND_MODEL": "script", "BACKEND_PORT": "0", "BRIDGE_PORT": "0", **env}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "scripts/run.py"),
        cwd=ROOT,
        env=variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    run = Run(process)
    try:
        yield run
    finally:
        if process.returncode is None:
            process.kill()
            # What it started ends by itself, or test_nothing_outlives_a_killed_run fails.
            await run.wait()


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_curl_line_works_and_a_signal_to_the_group_stops_both(
    number: signal.Signals,
) -> None:
    async with run_py() as run:
        curl = (await run.until("curl -N ")).partition("curl -N ")[2]
        await run.until(LAST_LINE_OF_BANNER)
        children = run.children()

        answer = await asyncio.create_subprocess_shell(
            f"curl -N --silent --show-error --max-time 30 {curl}", stdout=asyncio.subprocess.PIPE
        )
        body, _ = await answer.communicate()

        assert body.startswith(b'data: {"content":"Why"}\n\ndata: {"content":" is"}\n\n')
        assert body.endswith(b"data: [DONE]\n\n")
        # The bridge's record of that stream passes through, as text.
        assert re.match(r"bridge +\| .*stream ended", await run.until("stream ended"))
        os.killpg(run.process.pid, number)
        assert await run.wait() == 0
        assert not any(child.is_running() for child in children)
        assert "Traceback" not in "\n".join(run.lines) + await run.errors()


async def test_the_page_is_where_it_says() -> None:
    async with run_py() as run:
        page = (await run.until("Page:")).split()[1]
        await run.until(LAST_LINE_OF_BANNER)

        answer = await asyncio.create_subprocess_exec(
            *("curl", "--silent", "--fail", "--max-time", "30", page),
            stdout=asyncio.subprocess.PIPE,
        )
        body, _ = await answer.communicate()

    assert b"<html" in body


async def test_the_bridge_stops_before_the_backend() -> None:
    """So an answer that is open when Ctrl-C comes is finished, whatever the backend's grace."""
    async with run_py(BACKEND_SHUTDOWN_GRACE="0") as run:
        page = (await run.until("Page:")).split()[1]
        await run.until(LAST_LINE_OF_BANNER)
        request = (
            '{"model": "script", "messages": [{"role": "user", "content": '
            '"{\\"text\\": \\"x\\", \\"count\\": 20, \\"interval_ms\\": 100}"}]}'
        )
        curl = await asyncio.create_subprocess_exec(
            *("curl", "-N", "--silent", "--max-time", "60", f"{page}v1/chat/completions"),
            *("-H", "Content-Type: application/json", "-d", request),
            stdout=asyncio.subprocess.PIPE,
        )
        assert curl.stdout is not None
        assert await curl.stdout.readline() == b'data: {"content":"x"}\n'

        os.killpg(run.process.pid, signal.SIGINT)
        body, _ = await curl.communicate()

        assert body.count(b'{"content":"x"}') == 19
        assert b"error" not in body
        assert body.endswith(b"data: [DONE]\n\n")
        assert await run.wait() == 0


async def test_a_second_signal_cuts_the_open_answers() -> None:
    async with run_py(BRIDGE_SHUTDOWN_GRACE="600", BACKEND_SHUTDOWN_GRACE="600") as run:
        page = (await run.until("Page:")).split()[1]
        await run.until(LAST_LINE_OF_BANNER)
        request = (
            '{"model": "script", "messages": [{"role": "user", "content": '
            '"{\\"text\\": \\"x\\", \\"hang_after\\": 1}"}]}'
        )
        curl = await asyncio.create_subprocess_exec(
            *("curl", "-N", "--silent", "--max-time", "60", f"{page}v1/chat/completions"),
            *("-H", "Content-Type: application/json", "-d", request),
            stdout=asyncio.subprocess.PIPE,
        )
        assert curl.stdout is not None
        assert await curl.stdout.readline() == b'data: {"content":"x"}\n'

        os.killpg(run.process.pid, signal.SIGINT)
        await run.until("open_streams=1")
        os.killpg(run.process.pid, signal.SIGINT)
        body, _ = await curl.communicate()

        assert b'"code":"UNAVAILABLE"' in body
        assert body.endswith(b"data: [DONE]\n\n")
        assert await run.wait() == 0


async def test_a_signal_that_comes_late_spoils_no_clean_end(
    signalled_at_exit: dict[str, str],
) -> None:
    async with run_py(**signalled_at_exit) as run:
        await run.until(LAST_LINE_OF_BANNER)
        run.process.send_signal(signal.SIGINT)
        assert await run.wait() == 0
        assert await run.errors() == ""


@pytest.mark.parametrize("prefix", ["BRIDGE", "BACKEND"])
async def test_a_taken_port_is_told_with_the_variable_before_anything_starts(prefix: str) -> None:
    with taken_port() as port:
        async with run_py(**{f"{prefix}_PORT": str(port)}) as run:
            assert await run.wait() == 1
            error = await run.errors()
    assert run.lines == []
    assert error.startswith(
        f"The {prefix.lower()} can't listen on 127.0.0.1:{port}: Address already in use. "
        f"Use another port: {prefix}_PORT="
    )
    assert int(error.split(f"{prefix}_PORT=")[1].removesuffix(" make run\n")) > port


async def test_a_port_from_the_settings_file_is_looked_at_too(tmp_path: Path) -> None:
    with taken_port() as port:
        file = tmp_path / "bridge.toml"
        file.write_text(f"port = {port}\n")
        async with run_py(BRIDGE_CONFIG=str(file), BRIDGE_PORT="") as run:
            assert await run.wait() == 1
            assert f"can't listen on 127.0.0.1:{port}" in await run.errors()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"BRIDGE_PORT": "http"},
            "BRIDGE_PORT must be a number from 0 to 65535, got 'http'.\n",
        ),
        (
            {"BACKEND_HOST": "not a host"},
            "BACKEND_HOST must be an address or a name, got 'not a host': "
            "Name or service not known.\n",
        ),
        (
            {"BACKEND_HOST": "192.0.2.1"},
            "The backend can't listen on 192.0.2.1:0: Cannot assign requested address. "
            "Set BACKEND_HOST to an address of this machine.\n",
        ),
    ],
)
async def test_a_wrong_address_is_told_with_the_variable(
    variables: dict[str, str], message: str
) -> None:
    async with run_py(**variables) as run:
        assert await run.wait() == 1
        assert await run.errors() == message


async def test_a_server_that_does_not_start_is_told_with_its_own_words() -> None:
    async with run_py(BACKEND_MAX_CONCURRENT="none") as run:
        assert await run.wait() == 1
        error = await run.errors()
    assert error.startswith("The backend ended with exit status 2. Its last lines:\n")
    assert "BACKEND_MAX_CONCURRENT (--max-concurrent)" in error
    assert run.lines == ["Starting the backend and the bridge ..."]


@pytest.mark.parametrize(("victim", "other"), [("backend", "bridge"), ("bridge", "backend")])
async def test_when_one_dies_the_other_is_stopped(victim: str, other: str) -> None:
    async with run_py() as run:
        await run.until(LAST_LINE_OF_BANNER)
        survivor = run.server(other)

        run.server(victim).kill()

        assert await run.wait() == 1
        assert not survivor.is_running()
        error = await run.errors()
    assert error.startswith(f"The {victim} ended by SIGKILL. Its last lines:\n")
    assert re.search(rf"^{victim} +\| .*listening", error, re.MULTILINE)


async def test_nothing_outlives_a_killed_run() -> None:
    async with run_py() as run:
        await run.until(LAST_LINE_OF_BANNER)
        children = run.children()
        assert {child.name() for child in children} >= {"sh"}

        run.process.kill()
        await run.process.wait()

        await eventually(lambda: not any(child.is_running() for child in children), seconds=20)


async def test_the_bridge_asks_the_backend_that_is_named() -> None:
    """``BRIDGE_BACKEND`` wins over the backend that runs beside it."""
    async with server_process("backend", env={"BACKEND_MODEL": "script"}) as elsewhere:
        address = await elsewhere.address()
        async with run_py(BRIDGE_BACKEND=address) as run:
            await run.until(LAST_LINE_OF_BANNER)
            assert any(f"backend={address}" in line for line in run.lines)
            run.process.send_signal(signal.SIGINT)
            assert await run.wait() == 0
