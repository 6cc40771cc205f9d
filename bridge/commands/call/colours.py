"""What a terminal is shown in colours."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TextIO

_TOKEN = re.compile(
    r'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")(?P<colon>:?)'
    r"|(?P<number>-?\d[\d.eE+-]*)|(?P<word>true|false|null)"
)

# ECMA-48, "Select Graphic Rendition".
_BLUE, _GREEN, _CYAN, _MAGENTA, _BOLD_GREEN, _BOLD_RED = "34;1", "32", "36", "35", "32;1", "31;1"


def moves_cursor(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that can overwrite what it shows."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


@dataclass(frozen=True, slots=True)
class Colours:
    """Puts colours into texts, or not.

    Attributes:
        shown: Whether it does.
    """

    shown: bool

    @classmethod
    def of(cls, stream: TextIO) -> Colours:
        """Return those of a stream: some, if it is a terminal and ``NO_COLOR`` is not set.

        https://no-color.org
        """
        return cls(moves_cursor(stream) and not os.environ.get("NO_COLOR"))

    def json(self, text: str) -> str:
        """Return JSON with its names, texts, numbers and words in colours."""
        return _TOKEN.sub(self._token, text) if self.shown else text

    def status(self, text: str, *, good: bool) -> str:
        """Return a text in the colour of an end that is good, or not."""
        return self._paint(_BOLD_GREEN if good else _BOLD_RED, text)

    def _token(self, token: re.Match[str]) -> str:
        if token["text"] is not None:
            return self._paint(_BLUE if token["colon"] else _GREEN, token["text"]) + token["colon"]
        return self._paint(_CYAN if token["number"] is not None else _MAGENTA, token[0])

    def _paint(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.shown else text
