"""The quantiles of what was timed."""

from __future__ import annotations

from collections.abc import Sequence

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)


def quantiles(values: Sequence[int]) -> dict[str, int]:
    """Return each of ``QUANTILES`` of ``values``; empty if there are none."""
    ordered = sorted(values)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {f"{q:g}": ordered[round(q * last)] for q in QUANTILES}
