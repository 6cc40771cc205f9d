"""Timestamps and durations as the texts that they are in JSON.

Their forms and ranges stand in the comments of ``google/protobuf/timestamp.proto`` and
``google/protobuf/duration.proto``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1)
_SECOND = timedelta(seconds=1)
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
_LONGEST = 315_576_000_000
_NANOS = 1_000_000_000

_HOUR = r"(?:[01]\d|2[0-3])"
_FRACTION = r"(?:\.(\d{1,9}))?"
_TIMESTAMP = re.compile(
    rf"(\d{{4}}-\d\d-\d\dT{_HOUR}:\d\d:\d\d){_FRACTION}(Z|[+-]{_HOUR}:[0-5]\d)", re.ASCII
)
_DURATION = re.compile(rf"(-?)(\d{{1,12}}){_FRACTION}s", re.ASCII)


def timestamp_text(seconds: int, nanos: int) -> str:
    """Return a time in RFC 3339, in UTC.

    Args:
        seconds: Since the start of 1970.
        nanos: Nanoseconds after that.

    Raises:
        ValueError: it is not within the years 1 to 9999.
    """
    if not (_FIRST <= seconds <= _LAST and 0 <= nanos < _NANOS):
        raise ValueError(f"{seconds} s and {nanos} ns are no time of the years 1 to 9999")
    return f"{(_EPOCH + seconds * _SECOND).isoformat()}{_fraction(nanos)}Z"


def duration_text(seconds: int, nanos: int) -> str:
    """Return a duration in seconds.

    Args:
        seconds: Whole seconds.
        nanos: Nanoseconds besides, of the same sign.

    Raises:
        ValueError: it is longer than 10,000 years, or the signs differ.
    """
    if abs(seconds) > _LONGEST or abs(nanos) >= _NANOS or seconds * nanos < 0:
        raise ValueError(f"{seconds} s and {nanos} ns are no duration of up to 10,000 years")
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{_fraction(abs(nanos))}s"


def parse_timestamp(text: str) -> tuple[int, int]:
    """Return the seconds since the start of 1970, and the nanoseconds after that.

    Raises:
        ValueError: it is no time in RFC 3339, or not within the years 1 to 9999.
    """
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        raise ValueError(text)
    time, fraction, offset = found.groups()
    since = datetime.fromisoformat(time + offset) - _EPOCH.replace(tzinfo=UTC)
    seconds = since // _SECOND
    if not _FIRST <= seconds <= _LAST:
        raise ValueError(text)
    return seconds, _nanos(fraction)


def parse_duration(text: str) -> tuple[int, int]:
    """Return the seconds and the nanoseconds.

    Raises:
        ValueError: it is no duration, or longer than 10,000 years.
    """
    found = _DURATION.fullmatch(text)
    if found is None or int(found[2]) > _LONGEST:
        raise ValueError(text)
    sign = -1 if found[1] else 1
    return sign * int(found[2]), sign * _nanos(found[3])


def _fraction(nanos: int) -> str:
    if nanos == 0:
        return ""
    if nanos % 1000:
        return f".{nanos:09}"
    if nanos % 1_000_000:
        return f".{nanos // 1000:06}"
    return f".{nanos // 1_000_000:03}"


def _nanos(fraction: str | None) -> int:
    return int((fraction or "").ljust(9, "0"))
