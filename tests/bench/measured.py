"""Runs as if they had been measured."""

from __future__ import annotations

from bench import loads, programme
from bench.results import Results, Run

OURS = programme.ours().name


def run(peer: str, load: loads.Load, number: int = 0, **changes: object) -> Run:
    fields: dict[str, object] = {
        "peer": peer,
        "load": load.name,
        "round": number,
        "seconds": 3.0,
        "messages": 30_000,
        "whole": load.streams,
        "whole_while_measured": 300,
        "refused": 0,
        "lost": 0,
        "unfinished": 0,
        "not_awaited": 0,
        "faults": {},
        "cpu": 0.6,
        "waited": 0.1,
        "backend_cpu": 0.5,
        "generator_cpu": 0.5,
        "late_p99": 50_000,
        "delays": {"0.5": 200_000, "0.99": 900_000, "1": 2_000_000},
        "firsts": {"0.5": 1_000_000, "0.99": 3_000_000, "1": 4_000_000},
        "opening_cpu": 1.0,
        "memory_before": 50 << 20,
        "memory": 90 << 20,
        "start_up": 0.5,
        "connections": [],
        "workers": 1,
        "shared_core": True,
        "shared_cores": 0,
    }
    return Run(**{**fields, **changes})  # type: ignore[arg-type]


def results(*runs: Run) -> Results:
    machine = {"processor": "a processor", "cores": "2", "kernel": "Linux 6"}
    return Results("2026-01-01", "python -m bench", machine, {"Python": "3.11"}, runs)
