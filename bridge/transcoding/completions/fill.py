"""What fills in a template for one request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

from bridge.transcoding.completions.field_type import Convert
from bridge.transcoding.completions.variables import Scope
from bridge.transcoding.request_error import RequestError

# These raise ``RequestError`` if the request has what the backend can't take.
Fill: TypeAlias = Callable[[Scope], Any]
FillAll: TypeAlias = Callable[[Scope], Iterator[Any]]

# What is left out.
ABSENT: Final[Any] = object()


def nothing(_: Scope) -> Any:
    """Return what is left out."""
    return ABSENT


def same(value: Any) -> Fill:
    """Return what is always the same."""
    return lambda _: value


def variable(name: str, convert: Convert) -> Fill:
    """Return what is the value of a variable."""

    def fill(scope: Scope) -> Any:
        found = scope.find(name)
        if found is None:
            return ABSENT
        where, value = found
        return convert(value, where.path + name)

    return fill


def texts(name: str, convert: Convert) -> Fill:
    """Return what is the list of a variable's texts."""

    def convert_all(values: Sequence[Any], path: str) -> list[Any]:
        return [convert(value, f"{path}.{number}") for number, value in enumerate(values)]

    return variable(name, convert_all)


def choice(name: str, then: Fill, otherwise: Fill) -> Fill:
    """Return what depends on whether a variable is there. An empty list is not."""

    def fill(scope: Scope) -> Any:
        found = scope.find(name)
        there = found is not None and found[1] != []
        return then(scope) if there else otherwise(scope)

    return fill


def translation(name: str, table: Mapping[str | float, Fill], otherwise: Fill | None) -> Fill:
    """Return what depends on the value of a variable; without ``otherwise``, it has to be there."""

    def fill(scope: Scope) -> Any:
        found = scope.find(name)
        if found is None:
            return ABSENT
        where, value = found
        chosen = table.get(value, otherwise)
        if chosen is None:
            raise RequestError(where.path + name, f"The backend has nothing for {value}")
        return chosen(scope)

    return fill


def mapping(entries: Sequence[tuple[Any, str | None, Fill]], *, may_be_empty: bool = False) -> Fill:
    """Return what has values by name.

    Args:
        entries: For each a name, the oneof that it is of, and its value.
        may_be_empty: Whether it stays when nothing is left of it.
    """

    def fill(scope: Scope) -> Any:
        found: dict[Any, Any] = {}
        oneofs: set[str] = set()
        for name, oneof, fill_one in entries:
            if oneof in oneofs:
                continue
            value = fill_one(scope)
            if value is not ABSENT:
                found[name] = value
                if oneof is not None:
                    oneofs.add(oneof)
        return found if found or may_be_empty or not entries else ABSENT

    return fill


def joined(parts: Sequence[FillAll], *, may_be_empty: bool = False) -> Fill:
    """Return what has the values of all parts in a list."""

    def fill(scope: Scope) -> Any:
        found = list(chain.from_iterable(part(scope) for part in parts))
        return found if found or may_be_empty else ABSENT

    return fill


def one(fill: Fill) -> FillAll:
    """Return what yields a value if it is there."""

    def fill_all(scope: Scope) -> Iterator[Any]:
        value = fill(scope)
        if value is not ABSENT:
            yield value

    return fill_all


def each(name: str, fill: Fill) -> FillAll:
    """Return what yields a value for each of a list's."""
    yields = one(fill)

    def fill_all(scope: Scope) -> Iterator[Any]:
        found = scope.find(name)
        for inner in () if found is None else found[1]:
            yield from yields(inner)

    return fill_all


def written(fill: Fill, convert: Convert) -> Fill:
    """Return what is a value in JSON."""

    def fill_text(scope: Scope) -> Any:
        value = fill(scope)
        if value is ABSENT:
            return ABSENT
        return convert(json.dumps(value, ensure_ascii=False), scope.path)

    return fill_text


def built(fill: Fill, build: Callable[[Any], Any]) -> Fill:
    """Return what is made of a value."""

    def fill_built(scope: Scope) -> Any:
        value = fill(scope)
        return ABSENT if value is ABSENT else build(value)

    return fill_built
