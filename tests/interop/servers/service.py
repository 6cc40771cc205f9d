"""Starts the servers of the service, whatever they are written in."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.interop.schema import run_protoc
from tests.interop.servers.running import Files, Running
from tests.processes import logging_process

HERE = Path(__file__).parent

# Debian's packages of Go are sources, laid out as Go wanted them before it had modules.
_GO = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
_PROTOC_PLUGIN = "github.com/golang/protobuf/protoc-gen-go"


@asynccontextmanager
async def in_python(files: Files, module: str) -> AsyncIterator[Running]:
    """Run a module of this package."""
    command = (sys.executable, "-m", f"tests.interop.servers.{module}", files.arguments)
    async with logging_process(*command) as process:
        yield await Running.listening(process)


@asynccontextmanager
async def in_node(files: Files, module: str) -> AsyncIterator[Running]:
    """Run a module of the folder ``node``."""
    node = shutil.which("node")
    assert node, "these tests need Node 20 or newer: apt-get install nodejs"
    async with logging_process(node, str(HERE / "node" / module), files.arguments) as process:
        yield await Running.listening(process)


@asynccontextmanager
async def in_go(files: Files) -> AsyncIterator[Running]:
    """Build the folder ``go`` if this hasn't been done, and run it."""
    executable = files.folder / "grpc-go"
    if not executable.exists():
        await _build(files.folder, executable)
    async with logging_process(str(executable), files.arguments) as process:
        yield await Running.listening(process)


async def _build(folder: Path, executable: Path) -> None:
    sources, plugin = folder / "go", folder / "protoc-gen-go"
    shutil.copytree(HERE / "go", sources)
    await _go("build", "-o", str(plugin), _PROTOC_PLUGIN, cwd=folder)
    run_protoc(f"--plugin=protoc-gen-go={plugin}", f"--go_out=plugins=grpc:{sources}")
    await _go("build", "-o", str(executable), ".", cwd=sources)


async def _go(*arguments: str, cwd: Path) -> None:
    go = shutil.which("go")
    assert go, "these tests need Go: apt-get install golang-go golang-google-grpc-dev"
    process = await asyncio.create_subprocess_exec(
        go, *arguments, cwd=cwd, env={**os.environ, **_GO}, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
