"""A client on the command line."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.sdk.clients.client import Client, Question, Seen

# Where ``llm`` looks for models of OpenAI's API that others serve.
_MODELS = "extra-openai-models.yaml"
_WEATHER = """
def weather(city: str):
    "Tells it."
    return {"text": "Sunny.", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
"""


class Llm(Client):
    """``llm``, which has the SDK of OpenAI in it, and nothing to set how often it tries."""

    name = "llm"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        seen = Seen()
        with TemporaryDirectory() as folder:
            model = {"model_id": "bridge", "model_name": "script", "supports_tools": True}
            models = [{**model, "api_base": f"{bridge}/v1"}]
            # What is JSON is YAML.
            (Path(folder) / _MODELS).write_text(json.dumps(models))
            options = ["--functions", _WEATHER] if question.tools else []
            options += [] if question.stream else ["--no-stream"]
            process = await _run(folder, "prompt", "-m", "bridge", *options, question.content)
            await self._read(process, question, seen)
            _, said = await process.communicate()
            if process.returncode:
                seen.error, seen.message = f"exit {process.returncode}", said.decode()
            else:
                await self._logged(folder, question, seen)
        return seen

    async def _read(
        self, process: asyncio.subprocess.Process, question: Question, seen: Seen
    ) -> None:
        assert process.stdout is not None
        printed = b""
        while more := await process.stdout.read(1 << 16):
            printed += more
            seen.text = printed.decode(errors="ignore")
            question.has_text()
            if question.leave_after and len(seen.text) >= question.leave_after:
                process.terminate()

    async def _logged(self, folder: str, question: Question, seen: Seen) -> None:
        process = await _run(folder, "logs", "list", "--json", "-n", "0")
        found, _ = await process.communicate()
        logged: list[dict[str, Any]] = json.loads(found)
        last = logged[-1]
        seen.text = last["response"]
        answer = last["response_json"]
        choice = answer if question.stream else answer["choices"][0]
        seen.finish = choice.get("finish_reason")
        seen.usage = last["input_tokens"], last["output_tokens"]
        seen.tool_calls = [
            (call["name"], call["arguments"])
            for response in logged
            for call in response["tool_calls"]
        ]


async def _run(folder: str, *arguments: str) -> asyncio.subprocess.Process:
    # The weights of the local model are a plugin of it, which needs what isn't installed here.
    environment = {**os.environ, "LLM_USER_PATH": folder, "LLM_LOAD_PLUGINS": ""}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "llm", *arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
