"""Where the time of our own path goes, by py-spy."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from pathlib import Path

from bench import figures, loads
from bench.figures import spread
from bench.peers import Peer
from bench.results import Profile, Results
from bench.run import Bench

_SAMPLES_A_SECOND = 250
_SHOWN = 25
_WAITING = re.compile(r"epoll_p?wait ")
_PLACE = re.compile(r" \((?:.*/)?(?:site-packages/)?([^/()]+/)?([^/():]+)(?::\d+)?\)$")


async def profile(bench: Bench, peer: Peer, results: Results) -> Profile:
    """Return where the time of ``peer`` goes with 200 paced streams.

    A sampler slows down what it samples: so it says which part of the time each function takes,
    and the runs before it say of how much. It sees the thread that has the event loop.

    Raises:
        RuntimeError: py-spy can't sample, or nothing was measured before.
    """
    load = loads.PACED_200
    found = spread(results, figures.CPU_PER_MESSAGE, peer.name, load)
    if found is None:
        raise RuntimeError(f"{peer.name} has no run of {load.name}")
    samples: Counter[str] = Counter()

    async def sample(pid: int) -> None:
        samples.update(await _sample(pid, load.seconds))

    await bench.run(peer, load, 0, meanwhile=sample)
    each = found.median / samples.total()
    functions = {name: count * each for name, count in samples.most_common(_SHOWN)}
    rest = found.median - sum(functions.values())
    return Profile(peer.name, load.name, found.median, {**functions, "all others": rest})


async def _sample(pid: int, seconds: float) -> Counter[str]:
    spy = Path(sys.executable).parent / "py-spy"
    process = await asyncio.create_subprocess_exec(
        *(str(spy), "record", "--pid", str(pid), "--native", "--format", "raw"),
        *(
            "--threads",
            "--function",
            "--rate",
            str(_SAMPLES_A_SECOND),
            "--duration",
            f"{seconds:.0f}",
        ),
        *("--output", "/dev/stdout"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(err.decode())
    return _of_their_own(out.decode())


def _of_their_own(stacks: str) -> Counter[str]:
    """Return how often each function was on top of its stack."""
    samples: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        thread, _, rest = stack.partition(";")
        top = rest.rpartition(";")[2]
        if "MainThread" in thread and not _WAITING.match(top):
            samples[_short(top)] += int(count)
    return samples


def _short(frame: str) -> str:
    return _PLACE.sub(lambda m: f" ({m[1] or ''}{m[2]})", frame)
