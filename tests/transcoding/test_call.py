"""Methods asked from the command line, as people and scripts ask them."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode, aio
from grpc_reflection.v1alpha import reflection

from bridge.commands.call.colours import Colours
from bridge.commands.visible import visible
from tests.conftest import eventually, on_each_transport
from tests.processes import run_command
from tests.transcoding.backend import schema_of, serving
from tests.transcoding.conftest import Compile
from tests.transcoding.test_transcoding import fail

run = partial(run_command, "bridge", "call")

ECHO = """
package echo.v1;
import "google/protobuf/any.proto";
service Echo {
  rpc Say(Words) returns (Words);
  rpc Follow(Words) returns (stream Words);
  rpc Join(stream Words) returns (Words);
  rpc Talk(stream Words) returns (stream Words);
}
message Words {
  string text = 1;
  int32 number = 2;
  google.protobuf.Any any = 3;
  map<string, string> metadata = 4;
}
"""
SAY, FOLLOW, JOIN, TALK = (f"echo.v1.Echo/{name}" for name in ("Say", "Follow", "Join", "Talk"))

# After this, nobody says anything more.
END = None


class Echo:
    """A backend of which a test says when it answers.

    Attributes:
        address: Where it listens.
        follow: What ``Follow`` answers; ``END`` for its end.
        left: Set when ``Follow`` has ended, by itself or because it was left.
    """

    def __init__(self) -> None:
        self.address = ""
        self.follow: asyncio.Queue[str | None] = asyncio.Queue()
        self.left = asyncio.Event()
        self.behaviour = {
            "Say": self._say,
            "Follow": self._follow,
            "Join": self._join,
            "Talk": self._talk,
        }

    def answers(self, *texts: str | None) -> None:
        for text in texts:
            self.follow.put_nowait(text)

    def _say(self, answer: Any) -> Any:
        async def say(request: Any, context: Any) -> Any:
            if request.text in StatusCode.__members__:
                await fail(context, request.text)
            context.set_trailing_metadata((("x-cost", "2"), ("x-raw-bin", b"\xff\x00")))
            if request.text == "unknown":
                return answer(any={"type_url": "type.googleapis.com/echo.v1.Unknown"})
            sent = {
                key: value if isinstance(value, str) else value.hex()
                for key, value in context.invocation_metadata()
                if key.startswith(("x-", "authorization"))
            }
            return answer(text=request.text, number=request.number, metadata=sent)

        return say

    def _follow(self, answer: Any) -> Any:
        async def follow(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                while (text := await self.follow.get()) is not END:
                    yield answer(text=text)
            finally:
                self.left.set()
            if request.text:
                await fail(context, request.text)

        return follow

    def _join(self, answer: Any) -> Any:
        async def join(requests: Any, context: Any) -> Any:
            return answer(text="+".join([request.text async for request in requests]))

        return join

    def _talk(self, answer: Any) -> Any:
        async def talk(requests: Any, context: Any) -> AsyncIterator[Any]:
            async for request in requests:
                yield answer(text=request.text.upper())

        return talk


@pytest.fixture(scope="session")
def protos(compile_protos: Compile) -> Path:
    return compile_protos(echo=ECHO)


@pytest.fixture
async def echo(protos: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Echo]:
    echo = Echo()
    async with serving(schema_of(protos), echo.behaviour) as echo.address:
        monkeypatch.setenv("BRIDGE_BACKEND", echo.address)
        monkeypatch.delenv("NO_COLOR", raising=False)
        yield echo


def without_seconds(told: str) -> str:
    return re.sub(r"\d+\.\d+ s", "0 s", told)


@on_each_transport
async def test_a_message_is_a_line_and_stderr_says_how_it_ended(echo: Echo) -> None:
    status, out, err = await run(SAY, '{"text": "hä", "number": 3}')
    assert (status, out) == (0, '{"text":"hä","number":3}\n')
    assert without_seconds(err) == "OK: 1 message in 0 s\n  x-cost: 2\n  x-raw-bin: /wA\n"


@pytest.mark.parametrize("name", ["echo.v1.Echo.Say", "/echo.v1.Echo/Say"])
async def test_a_method_is_also_named_with_a_point_or_as_its_path(echo: Echo, name: str) -> None:
    assert (await run(name, '{"text": "a"}'))[:2] == (0, '{"text":"a"}\n')


async def test_flags_may_stand_anywhere(echo: Echo) -> None:
    status, out, _ = await run(
        *("--json-defaults", "--deadline=5", SAY, "--deadline", "9", "--", '{"number": 3}')
    )
    assert (status, json.loads(out)) == (0, {"text": "", "number": 3, "metadata": {}})


async def test_the_settings_are_those_of_the_bridge(echo: Echo) -> None:
    environment = {**os.environ, "BRIDGE_BACKEND_TOKEN": "secret", "BRIDGE_JSON_DEFAULTS": "1"}
    status, out, _ = await run(SAY, "--json-ignore-unknown", '{"txt": "a"}', env=environment)
    assert (status, json.loads(out)) == (
        0,
        {"text": "", "number": 0, "metadata": {"authorization": "Bearer secret"}},
    )


async def test_what_is_asked_never_comes_from_the_environment(echo: Echo) -> None:
    environment = {**os.environ, "BRIDGE_REQUEST": "no", "BRIDGE_METADATA": "no"}
    assert (await run(SAY, env=environment))[:2] == (0, "{}\n")


@on_each_transport
async def test_metadata_are_sent_as_they_are_given(echo: Echo) -> None:
    _, out, _ = await run(
        *(SAY, "--metadata", 'X-Tenant: a, "b\\", [c] = d', "--metadata=x-raw-bin: /wA"),
        *("--metadata", "x-empty:"),
    )
    assert json.loads(out)["metadata"] == {
        "x-tenant": 'a, "b\\", [c] = d',
        "x-raw-bin": "ff00",
        "x-empty": "",
    }


@on_each_transport
async def test_an_rpc_that_fails_ends_with_1_and_a_last_line_that_has_its_details(
    echo: Echo,
) -> None:
    echo.answers("a", END)
    status, out, err = await run(FOLLOW, '{"text": "NOT_FOUND"}')
    first, last = map(json.loads, out.splitlines())
    assert (status, first) == (1, {"text": "a"})
    assert last == {
        "error": {
            "code": 5,
            "message": "so it is",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "WHY",
                    "domain": "shop",
                },
                {"@type": "type.googleapis.com/shop.Unknown", "value": "AQ=="},
            ],
        }
    }
    assert without_seconds(err) == "NOT_FOUND: 1 message in 0 s\n  x-cost: 3\n"


async def test_also_what_the_bridge_keeps_from_browsers_is_told(echo: Echo) -> None:
    status, out, _ = await run(SAY, '{"text": "INTERNAL"}')
    assert (status, json.loads(out)["error"]["message"]) == (1, "so it is")


@on_each_transport
async def test_an_rpc_has_a_deadline(echo: Echo) -> None:
    status, out, _ = await run(FOLLOW, "--deadline", "0.3")
    assert (status, json.loads(out)["error"]["code"]) == (1, 4)
    await asyncio.wait_for(echo.left.wait(), 5)


async def test_a_message_that_is_no_json_ends_the_answer(echo: Echo) -> None:
    status, out, err = await run(SAY, '{"text": "unknown"}')
    told = json.loads(out)["error"]
    assert (status, told["code"]) == (1, 13)
    assert told["message"] == (
        "A echo.v1.Words can't be written: it has an Any of echo.v1.Unknown, which isn't known"
    )
    assert err.startswith("INTERNAL: 1 message in ")


@pytest.mark.parametrize(
    "text",
    [
        b'{"text": "a"}\n{"text": "b"}\n',
        b'\xef\xbb\xbf {\n  "text": "a"\n} {\n  "text": "b"\n}',
        b'[{"text": "a"}, {"text": "b"}]',
    ],
    ids=["lines", "indented", "array"],
)
async def test_a_stream_of_requests_is_values_or_an_array(echo: Echo, text: bytes) -> None:
    assert (await run(JOIN, "-", stdin=text))[:2] == (0, '{"text":"a+b"}\n')


@on_each_transport
async def test_a_file_has_the_requests_of_a_method_that_streams_both_ways(
    echo: Echo, tmp_path: Path
) -> None:
    path = tmp_path / "requests.json"
    path.write_text('{"text": "a"} {"text": "b"}')
    status, out, _ = await run(TALK, f"@{path}")
    assert (status, out) == (0, '{"text":"A"}\n{"text":"B"}\n')


async def test_without_a_request_the_message_or_the_stream_is_empty(echo: Echo) -> None:
    # What is piped is left to who asks for it, such as a loop of the shell.
    assert (await run(SAY, stdin=b'{"text": "a"}'))[:2] == (0, "{}\n")
    assert (await run(TALK))[:2] == (0, "")


NOT_SENT = "The request can't be sent.\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["echo.v1.Ekko/Say"],
            "echo.v1.Ekko/Say can't be asked.\n"
            "there is no service echo.v1.Ekko: did you mean echo.v1.Echo?\n",
        ),
        (
            ["nothing.at.all"],
            "nothing.at.all can't be asked.\nthere is no service nothing.at.all: there is "
            "echo.v1.Echo, grpc.reflection.v1alpha.ServerReflection\n",
        ),
        (
            ["\x1b[2J"],
            "\\u001b[2J can't be asked.\nthere is no service \\u001b[2J: there is "
            "echo.v1.Echo, grpc.reflection.v1alpha.ServerReflection\n",
        ),
        (
            ["echo.v1.Echo/Folow"],
            "echo.v1.Echo/Folow can't be asked.\n"
            "the service echo.v1.Echo has no method Folow: did you mean Follow?\n",
        ),
        (
            ["echo.v1.Echo/X"],
            "echo.v1.Echo/X can't be asked.\n"
            "the service echo.v1.Echo has no method X: it has Say, Follow, Join, Talk\n",
        ),
        ([SAY, '{"txt": "a"}'], f"{NOT_SENT}txt: there is no such field\n"),
        ([SAY, '{"text": "a", "text": "b"}'], f"{NOT_SENT}text: it is there twice\n"),
        ([SAY, "5"], f"{NOT_SENT}The body is no message: it has to be an object, not 5\n"),
        ([SAY, "{} {}"], f"{NOT_SENT}echo.v1.Echo/Say takes one message, not 2\n"),
        (
            [SAY, "{"],
            f"{NOT_SENT}It is no JSON: Expecting property name enclosed in double quotes at "
            "line 1, column 2\n",
        ),
        ([JOIN, '[{}, {"txt": "a"}]'], f"{NOT_SENT}[1].txt: there is no such field\n"),
        ([JOIN, '{} {"txt": "a"}'], f"{NOT_SENT}[1].txt: there is no such field\n"),
        ([SAY, "@/nowhere"], "/nowhere can't be read: No such file or directory\n"),
        (
            [SAY, "--metadata", "x-tenant"],
            "--metadata must be a name, a colon and a value, got 'x-tenant'\n",
        ),
        (
            [SAY, "--metadata", "grpc-timeout: 1S"],
            "--metadata: 'grpc-timeout' can't be metadata of an application\n",
        ),
        (
            [SAY, "--metadata", "x-raw-bin: ?"],
            "--metadata: x-raw-bin must be base64, got '?'\n",
        ),
        (
            [SAY, "--metadata", "x-tenant: ä"],
            "--metadata: x-tenant must be printable ASCII, got 'ä'\n",
        ),
        (
            ["--reflection", "off"],
            "These settings can't be used.\n"
            "set BRIDGE_DESCRIPTORS (--descriptors), or leave reflection on\n",
        ),
    ],
)
async def test_what_can_not_be_asked_is_2_with_the_reason(
    echo: Echo, arguments: list[str], told: str
) -> None:
    assert await run(*arguments) == (2, "", told)


async def test_what_is_no_utf_8_is_told(echo: Echo) -> None:
    assert await run(SAY, "-", stdin=b"\xff") == (
        2,
        "",
        f"{NOT_SENT}It is no JSON: it isn't UTF-8\n",
    )


async def test_descriptor_sets_do_for_a_backend_without_reflection(protos: Path) -> None:
    echo = Echo()
    async with serving(schema_of(protos), echo.behaviour, reflect=False) as address:
        asked = (SAY, '{"text": "a"}', "--backend", address)
        assert await run(*asked) == (
            1,
            "",
            "The schema can't be read.\nUNIMPLEMENTED: The backend offers no reflection. "
            "Set BRIDGE_DESCRIPTORS (--descriptors) to descriptor sets of its protos.\n",
        )
        status, out, _ = await run(*asked, "--descriptors", str(protos))
        assert (status, out) == (0, '{"text":"a"}\n')


async def test_descriptors_that_can_not_be_used_are_2(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_text("no descriptors")
    status, _, err = await run(SAY, "--descriptors", str(path))
    assert status == 2
    assert err.startswith(f"The schema can't be used.\n{path} is no descriptor set: ")


async def test_a_service_that_is_listed_but_not_described_is_told(protos: Path) -> None:
    server = aio.server()
    reflection.enable_server_reflection(["echo.v1.Hidden"], server, pool=schema_of(protos).pool)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        told = await run("echo.v1.Hidden", "--backend", f"127.0.0.1:{port}")
    finally:
        await server.stop(0)
    assert told == (
        2,
        "",
        "echo.v1.Hidden can't be asked.\nthe backend can't describe the service echo.v1.Hidden\n",
    )


@on_each_transport
async def test_a_backend_that_is_not_there_is_1_with_the_reason(protos: Path) -> None:
    asked = (SAY, "--backend", "127.0.0.1:1")
    status, out, err = await run(*asked)
    assert (status, out) == (1, "")
    assert err.startswith("The schema can't be read.\n")
    assert "Connection refused" in err
    status, out, err = await run(*asked, "--descriptors", str(protos))
    assert (status, json.loads(out)["error"]["code"]) == (1, 14)
    assert "Connection refused" in out
    assert err.startswith("UNAVAILABLE: no messages in ")


async def test_without_a_method_what_there_is_is_listed(echo: Echo, protos: Path) -> None:
    names = "echo.v1.Echo\ngrpc.reflection.v1alpha.ServerReflection\n"
    assert await run() == (0, names, "")
    methods = (
        "METHOD               REQUEST               RESPONSE\n"
        "echo.v1.Echo/Say     echo.v1.Words         echo.v1.Words\n"
        "echo.v1.Echo/Follow  echo.v1.Words         stream echo.v1.Words\n"
        "echo.v1.Echo/Join    stream echo.v1.Words  echo.v1.Words\n"
        "echo.v1.Echo/Talk    stream echo.v1.Words  stream echo.v1.Words\n"
    )
    assert await run("echo.v1.Echo") == (0, methods, "")
    offline = ("--descriptors", str(protos), "--backend", "127.0.0.1:1")
    assert await run(*offline) == (0, "echo.v1.Echo\n", "")


@asynccontextmanager
async def piped(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``bridge call`` with pipes; kill it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "call", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(20):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def line_of(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    return json.loads(await process.stdout.readline())


@on_each_transport
async def test_a_message_is_written_as_soon_as_it_comes(echo: Echo) -> None:
    async with piped(FOLLOW) as process:
        for text in ("a", "b", "c"):
            echo.answers(text)
            assert await line_of(process) == {"text": text}
        echo.answers(END)
        assert await process.communicate() != (b"", b"")
        assert process.returncode == 0


@on_each_transport
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_cancels_the_rpc(echo: Echo, number: signal.Signals) -> None:
    async with piped(FOLLOW) as process:
        echo.answers("a")
        await line_of(process)
        process.send_signal(number)
        out, err = await process.communicate()
        await echo.left.wait()
    assert (process.returncode, out) == (128 + number, b"")
    assert without_seconds(err.decode()) == "Interrupted: 1 message in 0 s\n"


@on_each_transport
async def test_a_signal_ends_also_the_wait_for_a_backend_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with piped(SAY, "--backend", f"127.0.0.1:{port}") as process:
            await eventually(lambda: bool(select.select([silent], [], [], 0)[0]), 20)
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert without_seconds(err.decode()) == "Interrupted: no messages in 0 s\n"


async def test_a_signal_ends_the_wait_for_a_request(echo: Echo) -> None:
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime", "-m", "bridge", "call", SAY, "-"),
        stdin=read,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert process.stderr is not None
    # The last module before it reads.
    async for line in process.stderr:
        if line.endswith(b"bridge.commands.call.command\n"):
            break
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    os.close(read)
    os.close(write)
    assert process.returncode == 130
    assert b"Traceback" not in err


@on_each_transport
async def test_a_reader_that_goes_cancels_the_rpc_before_the_next_message(echo: Echo) -> None:
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "call", FOLLOW),
        stdout=write,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(write)
    echo.answers("a")
    assert await asyncio.to_thread(os.read, read, 100) == b'{"text":"a"}\n'
    os.close(read)
    await asyncio.wait_for(echo.left.wait(), 10)
    _, err = await process.communicate()
    assert (process.returncode, err) == (128 + signal.SIGPIPE, b"")


@on_each_transport
async def test_a_reader_that_pauses_holds_up_no_signal(echo: Echo) -> None:
    async with piped_to_a_pause(FOLLOW) as (process, pipe):
        echo.answers(*["x" * 10_000] * 20)
        await eventually(pipe.is_full, 20)
        process.send_signal(signal.SIGINT)
        await echo.left.wait()
        assert await process.wait() == 130


async def test_a_reader_that_pauses_gets_all_later(echo: Echo) -> None:
    async with piped_to_a_pause(FOLLOW) as (process, pipe):
        echo.answers(*[f"{number}{'x' * 9_999}" for number in range(20)], END)
        await eventually(pipe.is_full, 20)
        lines = await asyncio.to_thread(pipe.lines)
        assert await process.wait() == 0
    assert [json.loads(line)["text"].rstrip("x") for line in lines] == [*map(str, range(20))]


class Pipe:
    """A pipe whose ends a test has, too."""

    def __init__(self) -> None:
        read, write = os.pipe()
        self.read, self.write = os.fdopen(read, "rb"), os.fdopen(write, "wb")

    def is_full(self) -> bool:
        return not select.select([], [self.write], [], 0)[1]

    def lines(self) -> list[bytes]:
        self.write.close()
        return self.read.readlines()

    def close(self) -> None:
        self.read.close()
        self.write.close()


@asynccontextmanager
async def piped_to_a_pause(
    *arguments: str,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Pipe]]:
    """Run ``bridge call`` with a pipe that nobody reads before the test does."""
    with closing(Pipe()) as pipe:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "call", *arguments),
            stdout=pipe.write,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(30):
                yield process, pipe
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class Terminal:
    """A pseudo-terminal, and what has been shown on it."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._shown = b""

    def read(self) -> None:
        try:
            self._shown += os.read(self._master, 1 << 16)
        except OSError:
            # Linux says so when the last process has closed the other end.
            asyncio.get_running_loop().remove_reader(self._master)

    @property
    def shown(self) -> str:
        return self._shown.decode().replace("\r\n", "\n")

    def shows(self, text: str) -> bool:
        return text in self.shown


@contextmanager
def terminal() -> Iterator[tuple[Terminal, int]]:
    """Yield a terminal, and the end that a process has."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    shown = Terminal(master)
    loop = asyncio.get_running_loop()
    loop.add_reader(master, shown.read)
    try:
        yield shown, slave
    finally:
        loop.remove_reader(master)
        os.close(master)
        os.close(slave)


def on_terminal(slave: int, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **env}
    command = (sys.executable, "-m", "bridge", "call", *arguments)
    return subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)


async def end_of(process: subprocess.Popen[bytes]) -> int:
    return await asyncio.wait_for(asyncio.to_thread(process.wait), 20)


COLOURED = '{\n  \x1b[34;1m"text"\x1b[0m: \x1b[32m"a"\x1b[0m\n}\n'
ERASED = "\r\x1b[K"


@on_each_transport
async def test_a_terminal_shows_a_spinner_then_the_message_in_colours(echo: Echo) -> None:
    with terminal() as (screen, slave):
        process = on_terminal(slave, FOLLOW)
        await eventually(lambda: screen.shows(" no messages in "), 20)
        echo.answers("a")
        await eventually(lambda: screen.shows(f"{ERASED}{COLOURED}"))
        await eventually(lambda: screen.shows(" 1 message in "))
        turned = screen.shown
        await eventually(lambda: screen.shown[len(turned) :].count(" 1 message in ") > 2)
        echo.answers(END)
        assert await end_of(process) == 0
        last = "\x1b[32;1mOK\x1b[0m: 1 message in 0 s\n"
        await eventually(lambda: without_seconds(screen.shown).endswith(f"{ERASED}{last}"))


async def test_a_terminal_shows_a_failure_in_colours(echo: Echo) -> None:
    with terminal() as (screen, slave):
        assert await end_of(on_terminal(slave, SAY, '{"text": "NOT_FOUND"}')) == 1
        end = "\x1b[31;1mNOT_FOUND\x1b[0m: no messages in 0 s\n  x-cost: 3\n"
        await eventually(lambda: without_seconds(screen.shown).endswith(end))
        assert '\x1b[34;1m"code"\x1b[0m: \x1b[36m5\x1b[0m' in screen.shown
        assert '"error"' not in screen.shown


async def test_ctrl_c_on_a_terminal_leaves_no_spinner(echo: Echo) -> None:
    with terminal() as (screen, slave):
        process = on_terminal(slave, FOLLOW)
        await eventually(lambda: not echo.follow.empty() or screen.shows(" no messages in "), 20)
        process.send_signal(signal.SIGINT)
        assert await end_of(process) == 130
        end = f"{ERASED}\x1b[31;1mInterrupted\x1b[0m: no messages in 0 s\n"
        await eventually(lambda: without_seconds(screen.shown).endswith(end))


async def test_no_color_leaves_the_colours_out(echo: Echo) -> None:
    with terminal() as (screen, slave):
        assert await end_of(on_terminal(slave, SAY, '{"text": "a"}', NO_COLOR="1")) == 0
        await eventually(lambda: screen.shows("OK: 1 message in "))
        assert "\x1b[3" not in screen.shown
        assert '{\n  "text": "a"\n}\n' in screen.shown


async def test_a_dumb_terminal_gets_no_escape_sequence(echo: Echo) -> None:
    with terminal() as (screen, slave):
        process = on_terminal(slave, FOLLOW, TERM="dumb")
        echo.answers("a")
        await eventually(lambda: screen.shows('{\n  "text": "a"\n}\n'), 20)
        echo.answers(END)
        assert await end_of(process) == 0
        await eventually(lambda: screen.shows("OK: 1 message in "))
        assert "\x1b" not in screen.shown


async def test_beside_a_pipe_a_terminal_shows_the_end_only(echo: Echo) -> None:
    with terminal() as (screen, slave):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "call", FOLLOW, "--deadline", "0.5"),
            stdout=asyncio.subprocess.PIPE,
            stderr=slave,
            env={**os.environ, "TERM": "xterm"},
        )
        assert (await line_of(process))["error"]["code"] == 4
        assert await process.wait() == 1
        end = "\x1b[31;1mDEADLINE_EXCEEDED\x1b[0m: no messages in 0 s\n"
        await eventually(lambda: without_seconds(screen.shown) == end)


async def test_a_terminal_gets_no_control_characters_of_a_backend(echo: Echo) -> None:
    with terminal() as (screen, slave):
        request = '{"text": "\\u001b[2J\\u009b2J\\u202e"}'
        assert await end_of(on_terminal(slave, SAY, request)) == 0
        await eventually(lambda: screen.shows('"\\u001b[2J\\u009b2J\\u202e"'))
        assert not {"\x9b", "\u202e"} & set(screen.shown)


def test_only_what_moves_or_hides_text_is_escaped() -> None:
    assert visible("a\tä\n\x1b\x7f\u2066") == "a\\u0009ä\n\\u001b\\u007f\\u2066"


def test_each_kind_of_value_has_a_colour_and_the_text_is_the_same() -> None:
    text = json.dumps({'k:"': ['"v":', "\\", -1.5e-7, True, None, {}]}, indent=2)
    coloured = Colours(shown=True).json(text)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == text
    for colour, token in (
        ("34;1", r'"k:\""'),
        ("32", r'"\"v\":"'),
        ("32", r'"\\"'),
        *(("36", "-1.5e-07"), ("35", "true"), ("35", "null")),
    ):
        assert f"\x1b[{colour}m{token}\x1b[0m" in coloured


def test_the_command_line_loads_what_runs_an_rpc_only_for_it() -> None:
    loaded = "import sys, bridge.cli; print('bridge.commands.call.command' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True)
    assert told.stdout == b"False\n"
