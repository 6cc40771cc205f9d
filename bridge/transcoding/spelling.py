"""What somebody may have meant who has named what there isn't."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def instead_of(name: str, names: Iterable[str]) -> str:
    """Return ``": did you mean a or b?"``, of those that are near a name; empty without any."""
    near = get_close_matches(name, names, n=2)
    return f": did you mean {' or '.join(near)}?" if near else ""
