"""What stands in the template of a request for something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bridge.transcoding.spelling import instead_of


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``: the value of a variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Each:
    """``{$each: name, $as: template}``: one value for each of a list's."""

    name: str
    template: Any


@dataclass(frozen=True, slots=True)
class If:
    """``{$if: name, $then: template, $else: template}``: whether a variable is there."""

    name: str
    then: Any
    otherwise: Any


@dataclass(frozen=True, slots=True)
class Translate:
    """``{$map: name, $to: {value: template}, $else: template}``: another value for each."""

    name: str
    table: Mapping[str | float, Any]
    otherwise: Any


@dataclass(frozen=True, slots=True)
class Json:
    """``{$json: template}``: a text in JSON."""

    template: Any


Operator: TypeAlias = Variable | Each | If | Translate | Json

_KEYS = {
    "$each": {"$as"},
    "$if": {"$then", "$else"},
    "$map": {"$to", "$else"},
    "$json": set[str](),
}
_OPTIONAL = {"$else"}


def read(given: Any) -> Operator | None:
    """Return what a part of a template stands for, or None if it stands for itself.

    Raises:
        ValueError: it has another form.
    """
    if isinstance(given, str) and given.startswith("$") and not given.startswith("$$"):
        return Variable(given[1:])
    if not isinstance(given, dict):
        return None
    keys = {key for key in given if isinstance(key, str) and key.startswith("$")}
    if not keys:
        return None
    operator = next((key for key in _KEYS if key in keys), None)
    if operator is None:
        key = min(keys)
        raise ValueError(f"there is no {key}{instead_of(key, _KEYS)}")
    _check_keys(operator, given)
    match operator:
        case "$each":
            return Each(_name(given[operator]), given["$as"])
        case "$if":
            return If(_name(given[operator]), given["$then"], given.get("$else"))
        case "$map":
            return Translate(_name(given[operator]), _table(given["$to"]), given.get("$else"))
    return Json(given[operator])


def unescaped(given: Any) -> Any:
    """Return a text that begins with ``$$`` with one of them, and all else as it is."""
    return given[1:] if isinstance(given, str) and given.startswith("$$") else given


def _check_keys(operator: str, given: Mapping[Any, Any]) -> None:
    others = _KEYS[operator]
    for key in given:
        if key != operator and key not in others:
            raise ValueError(f"{key} can't stand beside {operator}")
    for key in others - _OPTIONAL:
        if key not in given:
            raise ValueError(f"{operator} needs {key}")


def _name(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError(f"{given!r} is no name of a variable")
    return given.removeprefix("$")


def _table(given: Any) -> Mapping[str | float, Any]:
    if not isinstance(given, dict) or not given:
        raise ValueError("$to needs a mapping")
    return given
