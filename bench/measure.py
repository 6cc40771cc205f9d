"""What the kernel says of processes: the processor that they took, and the memory (Linux)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# The kernel's id of the clock that counts the time of all threads of a process, also of those that
# have ended: clock_getcpuclockid(3). Unlike /proc/PID/stat it is exact.
_CPUCLOCK_SCHED = 2


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor's time that processes took.

    Attributes:
        at: When this was read, in nanoseconds of CLOCK_MONOTONIC.
        total: All of it, in nanoseconds.
        waited: How long their threads waited for a core that others had, in nanoseconds.
    """

    at: int
    total: int
    waited: int


def processes(pid: int) -> list[int]:
    """Return ``pid`` and all processes that have come from it."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def cpu(pids: Iterable[int]) -> Cpu:
    """Read the processor's time of processes."""
    total = waited = 0
    for pid in pids:
        total += time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)
        waited += _waited(pid)
    return Cpu(time.monotonic_ns(), total, waited)


def _waited(pid: int) -> int:
    # https://docs.kernel.org/scheduler/sched-stats.html
    waited = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            waited += int((thread / "schedstat").read_text().split()[1])
    return waited


def memory(pids: Iterable[int]) -> int:
    """Return the bytes of memory of processes; what they share is divided among them."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


@contextmanager
def on_cores(cores: Iterable[int]) -> Iterator[None]:
    """Let processes that are started inside run on ``cores`` only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
