"""What two transcoders answered to the same request, and where they differ."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from bridge.transcoding.formats import StreamFormat
from tests.transcoding.envoy.asked import Asked

# The paths that answer with streams, with the content of an ``HttpBody``, and with one field.
STREAMS = ("/v1/many", "/v1/talk")
CONTENT = "/v1/content/"
FIELDS = "/v1/only/"
_ABSENT: Mapping[str, Any] = {"inner": {}, "texts": [], "text": ""}


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Answer:
    """A response.

    Attributes:
        status: The HTTP status.
        media_type: Its type, without parameters.
        body: The content, as far as it came.
        broken: Whether the connection broke in it.
    """

    status: int
    media_type: str
    body: bytes
    broken: bool = False

    @property
    def json(self) -> Any:
        """The content as JSON, with all numbers as floats; ``MISSING`` if it is none."""
        return _parsed(self.body)

    @property
    def is_of_rpc(self) -> bool:
        """Whether it tells how an RPC ended, so that the request was taken."""
        return self.status == 200 or (isinstance(self.json, dict) and "code" in self.json)

    @property
    def violation(self) -> tuple[str, str]:
        """The field that the bridge refuses, and why; two empty texts if it refuses none.

        Of a stream of requests it is one in the first of them if the query has it.
        """
        told = self.json
        details = told.get("details", ()) if isinstance(told, dict) and self.status == 400 else ()
        for detail in details:
            for violation in detail.get("fieldViolations", ()):
                return violation.get("field", ""), violation["description"]
        return "", ""


@dataclass(frozen=True, slots=True, eq=False)
class Mismatch:
    """One thing in which two answers differ.

    Attributes:
        asked: The request.
        bridge: The bridge's answer.
        envoy: Envoy's.
        place: ``status``, ``media type``, ``response body``, ``failure`` or ``end``; in a message,
            the names of a field, from outside inwards; empty for all of it.
        here: What the bridge has there.
        there: What Envoy has there.
    """

    asked: Asked
    bridge: Answer
    envoy: Answer
    place: str
    here: Any
    there: Any

    def __str__(self) -> str:
        return f"{self.asked}\n  {self.place or 'all'}: here {self.here!r}, Envoy {self.there!r}"

    @property
    def violation(self) -> tuple[str, str]:
        """The field that the bridge refuses, and why."""
        return self.bridge.violation

    @property
    def refusal(self) -> str:
        """Why Envoy refused; empty if it didn't."""
        if self.envoy.is_of_rpc:
            return ""
        return self.envoy.body.decode(errors="replace")


def mismatches(asked: Asked, bridge: Answer, envoy: Answer) -> list[Mismatch]:
    """Return all in which two answers to a request differ."""
    return [
        Mismatch(asked, bridge, envoy, place, here, there)
        for place, here, there in _differing(asked, bridge, envoy)
    ]


_Differing = Iterator[tuple[str, Any, Any]]


def _differing(asked: Asked, bridge: Answer, envoy: Answer) -> _Differing:
    is_refused_here_only = any(bridge.violation) and envoy.is_of_rpc
    if bridge.status != envoy.status or is_refused_here_only:
        yield "status", bridge.status, envoy.status
    elif bridge.status == 200:
        here, there = (bridge.media_type, bridge.broken), (envoy.media_type, envoy.broken)
        if here != there:
            yield "media type", here, there
        yield from _in_content(asked, bridge, envoy)
    elif envoy.is_of_rpc:
        yield from _in_values("", bridge.json, envoy.json)


def _in_content(asked: Asked, bridge: Answer, envoy: Answer) -> _Differing:
    if asked.path.startswith(STREAMS):
        yield from _in_streams(asked.form, bridge, envoy)
    elif asked.path.startswith(CONTENT):
        if bridge.body != envoy.body:
            yield "", bridge.body, envoy.body
    elif asked.path.startswith(FIELDS) and isinstance(envoy.json, dict):
        if bridge.json != envoy.json:
            yield "response body", bridge.json, envoy.json
        name = asked.path.removeprefix(FIELDS)
        yield from _in_values(name, bridge.json, envoy.json.get(name, _ABSENT[name]))
    else:
        yield from _in_values("", bridge.json, envoy.json, envoy.body)


def _in_streams(form: StreamFormat, bridge: Answer, envoy: Answer) -> _Differing:
    here, there = list(_messages(form, bridge.body)), list(_messages(form, envoy.body))
    if here[-1:] == ["[DONE]"]:
        yield "end", here.pop(), MISSING
    if here and isinstance(here[-1], dict) and set(here[-1]) == {"error"}:
        yield "failure", here.pop()["error"], MISSING
    for one, other in zip_longest(here, there, fillvalue=MISSING):
        yield from _in_values("", one, other)


def _messages(form: StreamFormat, body: bytes) -> Iterator[Any]:
    match form:
        case StreamFormat.ARRAY:
            elements = _parsed(body)
            assert isinstance(elements, list), body
            yield from elements
        case StreamFormat.NDJSON:
            yield from map(_parsed, body.splitlines())
        case StreamFormat.SSE:
            for line in body.split(b"\n"):
                if line.startswith(b"data: "):
                    data = line.removeprefix(b"data: ")
                    yield "[DONE]" if data == b"[DONE]" else _parsed(data)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text, parse_int=float)
    except ValueError:
        return MISSING


def _in_values(place: str, here: Any, there: Any, raw: bytes = b"") -> _Differing:
    if isinstance(here, dict) and isinstance(there, dict):
        for name in here.keys() | there.keys():
            within = f"{place}.{name}".lstrip(".")
            yield from _in_values(within, here.get(name, MISSING), there.get(name, MISSING))
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for one, other in zip(here, there, strict=True):
            yield from _in_values(place, one, other)
    elif not _same(here, there):
        yield place, here, raw if there is MISSING and raw else there


def _same(here: Any, there: Any) -> bool:
    if isinstance(here, float) and isinstance(there, float):
        return here == there and math.copysign(1, here) == math.copysign(1, there)
    return type(here) is type(there) and bool(here == there)
