"""Drives docker and Compose: the images, and a stack of them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
IMAGES = {"bridge": "grpc-sse-bridge", "backend": "grpc-sse-backend"}


def run(*command: str, env: dict[str, str] | None = None) -> str:
    """Run ``command`` in the project's folder, and return what it prints."""
    process = subprocess.run(
        command,
        cwd=ROOT,
        env=env,
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert process.returncode == 0, f"{command}:\n{process.stdout}\n{process.stderr}"
    return process.stdout


def build(service: str) -> str:
    """Build the image of ``service``, and return its name, the one that Compose looks for."""
    image = IMAGES[service]
    # The network of the host: that of the build has no name server on some machines.
    run("docker", "build", "--network", "host", "--target", service, "--tag", image, ".")
    return image


def run_in(image: str, *command: str) -> str:
    """Run ``command`` in a container of ``image``, and return what it prints."""
    return run("docker", "run", "--rm", "--network", "none", image, *command)


def until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until ``holds()``; fail when it does not within ``seconds``."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.2)


class Stack:
    """The services of docker-compose.yml, under a project name and on a port of their own."""

    def __init__(self, project: str, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        ours = {
            "BACKEND_SCRIPT": "on",
            "BRIDGE_PORT": str(port),
            "BRIDGE_WORKERS": "2",
            "COMPOSE_PROJECT_NAME": project,
        }
        others = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "BACKEND_"))}
        self._env = {**others, **ours}
        standalone = shutil.which("docker-compose")
        self._command = (standalone,) if standalone else ("docker", "compose")

    def compose(self, *arguments: str) -> str:
        """Run a command of Compose."""
        return run(*self._command, *arguments, env=self._env)

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what Docker knows of the container of ``service``."""
        container = self.compose("ps", "--all", "--quiet", service).strip()
        (known,) = json.loads(run("docker", "inspect", container))
        assert isinstance(known, dict)
        return known

    def readiness(self) -> int:
        """Return the status of ``/readyz``; 0 if nothing answers."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10).status_code
        except httpx.TransportError:
            return 0

    @contextmanager
    def stream(self, content: str, **fields: Any) -> Iterator[Iterator[str]]:
        """Ask through the published port; yield the payloads of the frames as they come."""
        body = {"messages": [{"role": "user", "content": content}], **fields}
        url = f"{self.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=60) as response:
            assert response.status_code == 200
            yield (line.removeprefix("data: ") for line in response.iter_lines() if line)


@contextmanager
def running_stack() -> Iterator[Stack]:
    """Bring the stack up, and remove its containers and its network afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stack = Stack(f"bridgetest{os.getpid()}", port)
    try:
        stack.compose("up", "--detach", "--no-build")
        until(lambda: stack.readiness() == 200, seconds=120)
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "0")
