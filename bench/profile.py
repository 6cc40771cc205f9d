"""Where the time of our own path goes, by py-spy."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import figures
from bench.figures import spread
from bench.loads import PACED_200
from bench.peers import Peer
from bench.results import Profile, Results
from bench.run import Bench

_SAMPLES_A_SECOND = 250
# Sampling takes longer than it says, and the load must outlast it.
_SAMPLED_SECONDS = 60
_LOAD = replace(PACED_200, seconds=150)

_SHOWN = 25
_WAITING = re.compile(r"epoll_p?wait ")
_FRAME = re.compile(r"(?P<name>.*) \((?P<place>[^():]+)(?::\d+)?\)")
_SYSTEM_CALLS = {"write", "writev", "send", "sendmsg", "read", "recv", "recvmsg", "epoll_ctl"}

# Files of libraries in C whose own names say little.
_LIBRARIES = {
    "loop.c": "uvloop",
    "_asynciomodule.c": "asyncio",
    "parser.c": "httptools",
    "llhttp.c": "httptools",
    "_message.abi3.so": "protobuf",
}


async def profile(bench: Bench, peer: Peer, results: Results) -> Profile:
    """Return where the time of ``peer`` goes with 200 paced streams.

    A sampler slows down what it samples: so it says which part of the time each function takes,
    and the runs before it say of how much. It sees the thread that has the event loop.

    Raises:
        RuntimeError: py-spy can't sample, or nothing was measured before.
    """
    found = spread(results, figures.CPU_PER_MESSAGE, peer.name, PACED_200)
    if found is None:
        raise RuntimeError(f"{peer.name} has no run of {PACED_200.name}")
    samples: Counter[str] = Counter()

    async def sample(pid: int) -> None:
        samples.update(await _sample(pid))

    await bench.run(peer, _LOAD, 0, meanwhile=sample)
    each = found.median / samples.total()
    shown = dict(samples.most_common(_SHOWN))
    if rest := samples.total() - sum(shown.values()):
        shown["all others"] = rest
    functions = {name: count * each for name, count in shown.items()}
    return Profile(peer.name, PACED_200.name, found.median, samples.total(), functions)


async def _sample(pid: int) -> Counter[str]:
    spy = Path(sys.executable).parent / "py-spy"
    process = await asyncio.create_subprocess_exec(
        *(str(spy), "record", "--pid", str(pid), "--native", "--format", "raw"),
        *(
            "--threads",
            "--function",
            "--rate",
            str(_SAMPLES_A_SECOND),
            "--duration",
            str(_SAMPLED_SECONDS),
        ),
        *("--output", "/dev/stdout"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(err.decode())
    return of_their_own(out.decode())


def of_their_own(stacks: str) -> Counter[str]:
    """Return how often each function was the innermost that has a name for us.

    Args:
        stacks: Lines of frames, the outermost first, and how often they were seen, as py-spy
            writes them.
    """
    samples: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        if "MainThread" in thread and frames and not _WAITING.match(frames[-1]):
            samples[_owner(frames)] += int(count)
    return samples


def _owner(frames: Sequence[str]) -> str:
    """Return who takes the time of a stack: a function of Python, a system call, a library.

    The interpreter works for the function that it runs.
    """
    for frame in reversed(frames):
        found = _FRAME.fullmatch(frame)
        if found is None:
            continue
        name, place = found["name"], found["place"]
        file = place.rpartition("/")[2]
        if file.endswith(".py"):
            return f"{name} ({place})"
        if file.startswith("libc.") and name in _SYSTEM_CALLS:
            return f"{name} (system call)"
        if library := _LIBRARIES.get(file):
            return library
        if ".so" in file and not file.startswith(("libc.", "libpython", "ld-")):
            return file.partition(".")[0]
    return "the interpreter"
