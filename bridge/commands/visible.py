"""Texts of others on a terminal, which would obey what it finds in them."""

from __future__ import annotations

import re

# Controls, of which JSON escapes only the first 32, and what reorders the text around it
# (https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing).
_INVISIBLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return a text with its control characters escaped, but for line feeds."""
    return _INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
