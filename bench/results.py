"""What was measured, as data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# Above this part of a core the backend or the load generator may be what limits a figure.
STRAINED = 0.85

# Above this part of its own cores it is the peer itself that limits them.
_FULL = 0.95


@dataclass(frozen=True, slots=True)
class Run:
    """One load on one peer, once. Times are in seconds unless they say otherwise.

    Attributes:
        peer: Its name.
        load: Its name.
        round: Which of the rounds it was.
        seconds: How long it was measured.
        messages: How many messages came in that time.
        whole: How many streams came through whole, with every byte and their ending.
        whole_while_measured: How many of them ended in that time.
        refused: How many streams were refused.
        lost: How many that were open did not stay so, though they should.
        unfinished: How many had not ended half a minute after they should; of a flood, seconds.
        not_awaited: How many of a flood had not ended, of a peer that has taken in much of it.
        faults: What was wrong with streams, and how often.
        cpu: The processor's time that the peer took.
        waited: How long its threads waited for a core that others had.
        backend_cpu: The backend's processor's time.
        generator_cpu: The load generator's.
        late_p99: How late the backend made its messages, in nanoseconds: all but 1 of 100 less.
        delays: Quantiles of the time from the making of a message to its end at the client, in
            nanoseconds.
        firsts: Quantiles of the time from the start of a connection to its first message, in
            nanoseconds.
        opening_cpu: What the peer took to open the streams.
        memory_before: Bytes of its memory before the streams were opened, and after some others.
        memory: Bytes of its memory with all streams open.
        start_up: From the start of its process to the end of its first answer.
        connections: How many connections each of its processes had.
        workers: How many processes of the peer serve.
        shared_core: Whether backend and generator ran on the same core.
        shared_cores: How many cores all had together; 0 where the peer had one of its own.
    """

    peer: str
    load: str
    round: int
    seconds: float
    messages: int
    whole: int
    whole_while_measured: int
    refused: int
    lost: int
    unfinished: int
    not_awaited: int
    faults: dict[str, int]
    cpu: float
    waited: float
    backend_cpu: float
    generator_cpu: float
    late_p99: int
    delays: dict[str, int]
    firsts: dict[str, int]
    opening_cpu: float
    memory_before: int
    memory: int
    start_up: float
    connections: list[int]
    workers: int
    shared_core: bool
    shared_cores: int

    @property
    def complaints(self) -> list[str]:
        """What a peer has done wrong: a stream refused, lost, or not whole."""
        counts = {"refused": self.refused, "lost": self.lost, "unfinished": self.unfinished}
        return [f"{count:,} {what}" for what, count in {**counts, **self.faults}.items() if count]

    @property
    def strained(self) -> bool:
        """Whether the backend or the generator may be what limits the figures."""
        if self.cpu > _FULL * self.workers * self.seconds:
            return False
        if self.shared_cores:
            everybody = self.cpu + self.backend_cpu + self.generator_cpu
            return everybody > STRAINED * self.shared_cores * self.seconds
        if self.shared_core:
            return self.backend_cpu + self.generator_cpu > STRAINED * self.seconds
        return max(self.backend_cpu, self.generator_cpu) > STRAINED * self.seconds


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the time of a peer goes.

    Attributes:
        peer: Its name.
        load: Its name.
        cpu_per_message: Microseconds.
        samples: How often it was looked at.
        functions: For each function, the microseconds of a message that it takes itself.
    """

    peer: str
    load: str
    cpu_per_message: float
    samples: int
    functions: dict[str, float]


@dataclass(frozen=True, slots=True)
class Results:
    """All of a bench.

    Attributes:
        date: The day.
        command: What was run.
        machine: The processor, its cores, the kernel.
        versions: Of what took part.
        runs: What was measured.
        profiles: Where the time goes.
    """

    date: str
    command: str
    machine: dict[str, str]
    versions: dict[str, str]
    runs: Sequence[Run] = field(default_factory=list)
    profiles: Sequence[Profile] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it as JSON, with a line for each run."""
        fields = asdict(self)
        runs = ",\n".join(json.dumps(run) for run in fields.pop("runs"))
        rest = json.dumps(fields, indent=1).removesuffix("\n}")
        path.write_text(f'{rest},\n "runs": [\n{runs}\n]}}\n')

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what ``write`` wrote."""
        fields: dict[str, Any] = json.loads(path.read_text())
        fields["runs"] = [Run(**run) for run in fields["runs"]]
        fields["profiles"] = [Profile(**profile) for profile in fields["profiles"]]
        return cls(**fields)
