"""JSON's text as values: RFC 8259, and nothing besides."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from bridge.transcoding.field_error import FieldError

# What may stand between values: RFC 8259, section 2.
_SPACE = re.compile(r"[ \t\r\n]*")
# How much of what a client sent is in an error.
_LONGEST = 40


class JsonError(FieldError):
    """JSON that is none, or none of a message."""


class Number(str):
    """A number as it was written, so that none of its digits is lost."""

    __slots__ = ()


class Repeating(dict[str, Any]):
    """An object that has a name more than once.

    Attributes:
        name: The first such one.
    """

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        times = Counter(name for name, _ in pairs)
        self.name = next(name for name, count in times.items() if count > 1)


def parse(text: bytes) -> Any:
    """Return the value of a JSON text.

    It is what :func:`json.loads` returns, but with each ``Number`` and ``Repeating`` told apart.

    Raises:
        JsonError: it is no JSON, or its values are too deep in each other.
    """
    with _told():
        return _DECODER.decode(text.decode())


def parse_all(text: bytes) -> Sequence[Any]:
    """Return the values of JSON texts that stand one after the other; see ``parse``.

    Raises:
        JsonError: see ``parse``.
    """
    with _told():
        return [*_values(text.decode())]


def _values(text: str) -> Iterator[Any]:
    start = _after_space(text, 0)
    while start < len(text):
        value, end = _DECODER.raw_decode(text, start)
        yield value
        start = _after_space(text, end)


def _after_space(text: str, start: int) -> int:
    space = _SPACE.match(text, start)
    assert space is not None
    return space.end()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise JsonError("", "it isn't UTF-8") from None
    except json.JSONDecodeError as error:
        problem = error.msg.removesuffix(" at").rstrip(": ")
        raise JsonError("", f"{problem} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise JsonError("", "it is nested too deep") from None


def shown(value: Any) -> str:
    """Return how an error tells of a value: shortened, and in characters that can be sent."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str) and len(value) > _LONGEST:
        value = type(value)(value[:_LONGEST] + "...")
    text = value if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeating(pairs)


def _constant(name: str) -> NoReturn:
    raise JsonError("", f"{name} is no number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_constant
)
