"""The command line, run as people run it."""

import asyncio
import socket
from functools import partial
from pathlib import Path

import pytest

from backend.settings import Settings
from tests.processes import run_command, server_process

KEY = "sk-this-is-secret"


run = partial(run_command, "backend")


@pytest.mark.parametrize("arguments", [["--help"], []])
async def test_help_names_the_command(arguments: list[str]) -> None:
    status, out, err = await run(*arguments)
    assert (status, err) == (0, "")
    assert "serve completions over gRPC" in out


async def test_help_of_serve_names_every_setting() -> None:
    status, out, _ = await run("serve", "--help")
    assert status == 0
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')} " in out
    assert "--port is BACKEND_PORT" in out


async def test_the_version_is_that_of_the_package() -> None:
    status, out, err = await run("--version")
    assert (status, err) == (0, "")
    name, version = out.split()
    assert name == "backend"
    assert version[0].isdecimal()


async def test_wrong_settings_end_with_2_and_are_named_but_the_key_is_not_shown() -> None:
    env = {"BACKEND_PORT": "x", "BACKEND_OPENAI_API_KEY": f"{KEY} "}
    status, out, err = await run("serve", "--max-concurrent", "0", env=env)
    assert (status, out) == (2, "")
    assert err == (
        "These settings can't be used.\n"
        "BACKEND_PORT (--port): Input should be a valid integer, unable to parse string as an "
        "integer, got 'x'\n"
        "BACKEND_MAX_CONCURRENT (--max-concurrent): Input should be greater than or equal to 1, "
        "got '0'\n"
        "BACKEND_OPENAI_API_KEY (--openai-api-key): must be printable ASCII with no space\n"
    )


async def test_a_file_that_is_not_toml_is_told(tmp_path: Path) -> None:
    file = tmp_path / "backend.toml"
    file.write_text("port =")
    status, _, err = await run("serve", "--config", str(file))
    assert status == 2
    assert f"{file} can't be read as TOML" in err
    assert "Traceback" not in err


async def test_an_unknown_flag_ends_with_2() -> None:
    status, _, err = await run("serve", "--prot", "1")
    assert status == 2
    assert "--prot" in err


async def test_a_taken_port_ends_with_1_and_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = await run("serve", "--port", str(port), "--model", "script")
    assert (status, out) == (1, "")
    assert err == (
        f"The backend can't listen on 127.0.0.1:{port}: Address already in use. "
        "Set BACKEND_HOST (--host) and BACKEND_PORT (--port) to a free address.\n"
    )


async def test_a_host_that_is_not_ours_ends_with_1() -> None:
    status, _, err = await run("serve", "--host", "host.invalid", "--model", "script")
    assert status == 1
    assert "can't listen on host.invalid:50051: " in err
    assert len(err.splitlines()) == 1


async def test_a_default_model_without_an_engine_ends_with_2() -> None:
    status, _, err = await run("serve", "--port", "0", "--model", "gpt-2")
    assert status == 2
    assert err == (
        "BACKEND_MODEL (--model): nothing answers for 'gpt-2'. The models are: script. "
        "The script model is on, as 127.0.0.1 is a loopback address.\n"
    )


async def test_every_line_of_the_log_is_json_and_the_server_ends_cleanly() -> None:
    async with server_process("backend", "--model", "script") as process:
        await process.address()
        assert await process.stop() == 0
        assert process.other_output == []


async def test_the_log_can_be_text() -> None:
    async with server_process("backend", "--model", "script", "--log-format", "text") as process:
        assert process.process.stderr is not None
        while not any("listening" in line for line in process.other_output):
            await asyncio.sleep(0.01)
        assert await process.stop() == 0


async def test_a_library_that_can_t_be_loaded_is_told(tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('libgomp.so.1: cannot open')")
    status, _, err = await run("serve", "--port", "0", env={"PYTHONPATH": str(tmp_path)})
    assert status == 2
    assert err == (
        "The model smollm2-135m-instruct needs xllamacpp, which can't be loaded: libgomp.so.1: "
        "cannot open. On Debian, libgomp.so.1 is in the package libgomp1.\n"
    )
