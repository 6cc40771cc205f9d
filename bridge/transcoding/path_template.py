"""The templates of paths in ``google.api.http``.

Their grammar, and how what they match is decoded, stand in the comments of
https://github.com/googleapis/googleapis/blob/master/google/api/http.proto.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

ONE: Final = "*"
REST: Final = "**"

# A path is looked for by recursion, a segment deeper each.
_MOST_SEGMENTS = 100

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What may stand in a segment by RFC 3986, section 3.3, less what has a meaning here.
_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()+,;@]|%[0-9A-Fa-f]{2})+")
_SLASH = re.compile("(%2[Ff])")


class PathTemplateError(ValueError):
    """A template that breaks the grammar.

    Attributes:
        template: All of it.
        position: Where it breaks, in characters.
        reason: How.
    """

    def __init__(self, template: str, position: int, reason: str) -> None:
        super().__init__(template, position, reason)
        self.template = template
        self.position = position
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.template!r}, at character {self.position + 1}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Variable:
    """A part of a path that is the value of a field.

    Attributes:
        field_path: The names of the field, from the request's message inwards.
        start: The first of its segments.
        stop: The segment after its last; None for the end of the path.
    """

    field_path: tuple[str, ...]
    start: int
    stop: int | None

    def value(self, segments: Sequence[str]) -> str:
        """Return the value, given the segments of a path as they were sent.

        Raises:
            UnicodeDecodeError: what is percent-encoded isn't UTF-8.
        """
        mine = segments[self.start : self.stop]
        if self.stop == self.start + 1:
            return decoded(mine[0])
        return "/".join(map(_decoded_but_slashes, mine))


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A template.

    Attributes:
        text: As it was written.
        segments: Each is ``ONE``, ``REST`` or a literal, which is decoded.
        variables: The fields that the path sets.
        verb: What stands after the last colon; empty for none.
    """

    text: str
    segments: tuple[str, ...]
    variables: tuple[Variable, ...] = ()
    verb: str = ""

    def __str__(self) -> str:
        return self.text

    @property
    def is_literal(self) -> bool:
        """Whether it matches one path only."""
        return not {ONE, REST} & set(self.segments)

    def variable(self, segment: int) -> Variable | None:
        """Return the variable that a segment, given by its number, is in."""
        for variable in self.variables:
            if segment in range(len(self.segments))[variable.start : variable.stop]:
                return variable
        return None


def parse(text: str) -> PathTemplate:
    """Read a template.

    Raises:
        PathTemplateError: it breaks the grammar.
    """
    return _Parser(text).template()


def decoded(segment: str) -> str:
    """Return a segment, or a verb, without its percent-encoding.

    Raises:
        UnicodeDecodeError: what is percent-encoded isn't UTF-8.
    """
    return unquote(segment, errors="strict")


def _decoded_but_slashes(segment: str) -> str:
    # So that they can be told from those between segments.
    parts = _SLASH.split(segment)
    return "".join(part if number % 2 else decoded(part) for number, part in enumerate(parts))


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._segments: list[str] = []
        self._variables: list[Variable] = []

    def template(self) -> PathTemplate:
        self._expect("/")
        self._read_segments(in_variable=False)
        verb = self._literal("a verb") if self._take(":") else ""
        if self._position < len(self._text):
            raise self._error(f"{self._text[self._position]!r} can't stand here")
        return PathTemplate(self._text, tuple(self._segments), tuple(self._variables), verb)

    def _read_segments(self, *, in_variable: bool) -> None:
        self._read_segment(in_variable=in_variable)
        while self._take("/"):
            self._read_segment(in_variable=in_variable)

    def _read_segment(self, *, in_variable: bool) -> None:
        if self._segments and self._segments[-1] == REST:
            raise self._error(f"{REST} must be the last segment")
        if len(self._segments) == _MOST_SEGMENTS:
            raise self._error(f"it has more than {_MOST_SEGMENTS} segments")
        if self._take(REST):
            self._segments.append(REST)
        elif self._take(ONE):
            self._segments.append(ONE)
        elif self._take("{"):
            if in_variable:
                raise self._error("a variable can't have another in it", back=1)
            self._read_variable()
        else:
            self._segments.append(self._literal("a segment"))

    def _read_variable(self) -> None:
        begun, start = self._position, len(self._segments)
        field_path = self._field_path()
        if self._take("="):
            self._read_segments(in_variable=True)
        else:
            self._segments.append(ONE)
        self._expect("}")
        if any(variable.field_path == field_path for variable in self._variables):
            reason = f"{'.'.join(field_path)} is set twice"
            raise PathTemplateError(self._text, begun, reason)
        stop = None if self._segments[-1] == REST else len(self._segments)
        self._variables.append(Variable(field_path, start, stop))

    def _field_path(self) -> tuple[str, ...]:
        names = [self._match(_IDENTIFIER, "the name of a field")]
        while self._take("."):
            names.append(self._match(_IDENTIFIER, "the name of a field"))
        return tuple(names)

    def _literal(self, wanted: str) -> str:
        begun = self._position
        try:
            return decoded(self._match(_LITERAL, wanted))
        except UnicodeDecodeError:
            raise PathTemplateError(self._text, begun, "it isn't UTF-8") from None

    def _match(self, pattern: re.Pattern[str], wanted: str) -> str:
        found = pattern.match(self._text, self._position)
        if found is None:
            raise self._error(f"{wanted} is missing")
        self._position = found.end()
        return found[0]

    def _take(self, token: str) -> bool:
        if not self._text.startswith(token, self._position):
            return False
        self._position += len(token)
        return True

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise self._error(f"{token!r} is missing")

    def _error(self, reason: str, *, back: int = 0) -> PathTemplateError:
        return PathTemplateError(self._text, self._position - back, reason)
