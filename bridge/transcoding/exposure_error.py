"""Why services can't be exposed."""

from __future__ import annotations

from collections.abc import Sequence


class ExposureError(Exception):
    """What is to be exposed can't be.

    Attributes:
        problems: A sentence for each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)
