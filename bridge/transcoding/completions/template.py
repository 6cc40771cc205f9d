"""The template of a request, which is checked against its message once.

It is JSON of the message, in which ``operators`` stand for values. What has a variable that is
absent is left out, and so is a mapping of which nothing is left. Of the fields of a oneof, the
first that is there is set.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, ClassVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from bridge.transcoding.completions import fill, operators
from bridge.transcoding.completions.field_path import is_map, named_field
from bridge.transcoding.completions.field_type import (
    FREE,
    Convert,
    as_it_is,
    constant,
    converter,
    free_builder,
    loaded,
)
from bridge.transcoding.completions.fill import Fill, FillAll
from bridge.transcoding.completions.operators import Each, If, Json, Translate, Variable
from bridge.transcoding.completions.variables import (
    VARIABLES,
    AnyKind,
    Items,
    Kind,
    Scope,
    Words,
)
from bridge.transcoding.spelling import instead_of
from bridge.transcoding.well_known import WELL_KNOWN


@dataclass(frozen=True, slots=True)
class Template:
    """A template that fits its message.

    Attributes:
        fill: Returns the fields of the message, as its class takes them; raises ``RequestError``.
        used: The names of the variables whose values it has. That of one in a list is behind the
            list's.
    """

    fill: Callable[[Scope], dict[str, Any]]
    used: frozenset[str]


def check(given: Mapping[str, Any], message: Descriptor, problems: list[str]) -> Template:
    """Return a template that has been checked.

    Args:
        given: As it stands in the file.
        message: What it is of.
        problems: Gets a sentence for each; then the template can't be used.
    """
    checker = _Checker(problems)
    fields = checker.value(given, _Message(message), _Names("", VARIABLES), "request")

    def fill_all(scope: Scope) -> dict[str, Any]:
        found = fields(scope)
        return {} if found is fill.ABSENT else found

    return Template(fill_all, frozenset(checker.used))


@dataclass(frozen=True, slots=True)
class _Names:
    """The variables that can be named at a place."""

    prefix: str
    kinds: Mapping[str, AnyKind]
    outer: _Names | None = None

    def find(self, name: str) -> tuple[str, AnyKind]:
        if name in self.kinds:
            return self.prefix + name, self.kinds[name]
        if self.outer is None:
            raise KeyError(name)
        return self.outer.find(name)

    def __iter__(self) -> Iterator[str]:
        yield from self.kinds
        if self.outer is not None:
            yield from self.outer


class _Target(ABC):
    """What a part of a template is the value of. It raises ``ValueError`` for what doesn't fit.

    Attributes:
        several: Whether that can be a list.
    """

    several: ClassVar[bool] = False

    @abstractmethod
    def variable(self, name: str, kind: Kind | Words) -> Fill:
        """Return what fills in the value of a variable."""

    @abstractmethod
    def text(self) -> Convert:
        """Return what takes a text."""

    @abstractmethod
    def literal(self, checker: _Checker, given: Any, names: _Names, where: str) -> Fill:
        """Return what fills in a value that stands for itself, with what is in it."""


class _Checker:
    def __init__(self, problems: list[str]) -> None:
        self._problems = problems
        self.used: set[str] = set()

    def wrong(self, where: str, problem: ValueError | str) -> Fill:
        """Note a problem, and return what fills in nothing."""
        self._problems.append(f"{where}: {problem}")
        return fill.nothing

    def value(self, given: Any, target: _Target, names: _Names, where: str) -> Fill:
        """Return what fills in the value of a target."""
        try:
            return self._value(given, target, names, where)
        except ValueError as error:
            return self.wrong(where, error)

    def items(self, given: Any, target: _Target, names: _Names, where: str) -> list[FillAll]:
        """Return what fills in a list of values, or what one ``$each`` stands for."""
        if not isinstance(given, list):
            return [self._item(given, target, names, where)]
        return [
            self._item(item, target, names, f"{where}.{number}")
            for number, item in enumerate(given)
        ]

    def _value(self, given: Any, target: _Target, names: _Names, where: str) -> Fill:
        match operators.read(given):
            case Variable(name):
                return target.variable(name, self._use(name, names))
            case If(name, then, otherwise):
                self._find(name, names)
                return fill.choice(
                    name,
                    self.value(then, target, names, f"{where}.$then"),
                    self._otherwise(otherwise, target, names, where) or fill.nothing,
                )
            case Translate(name, table, otherwise):
                _check_keys(name, table, self._use(name, names))
                return fill.translation(
                    name,
                    {
                        key: self.value(value, target, names, f"{where}.$to.{key}")
                        for key, value in table.items()
                    },
                    self._otherwise(otherwise, target, names, where),
                )
            case Json(template):
                json = self.value(template, _Json(), names, f"{where}.$json")
                return fill.written(json, target.text())
            case Each() if not target.several:
                raise ValueError("$each needs a list")
        return target.literal(self, given, names, where)

    def _otherwise(self, given: Any, target: _Target, names: _Names, where: str) -> Fill | None:
        return None if given is None else self.value(given, target, names, f"{where}.$else")

    def _item(self, given: Any, target: _Target, names: _Names, where: str) -> FillAll:
        try:
            operator = operators.read(given)
            if isinstance(operator, Each):
                return self._each(operator, target, names, where)
        except ValueError as error:
            return fill.one(self.wrong(where, error))
        return fill.one(self.value(given, target, names, where))

    def _each(self, operator: Each, target: _Target, names: _Names, where: str) -> FillAll:
        full_name, kind = self._find(operator.name, names)
        if not isinstance(kind, Items):
            raise ValueError(f"{operator.name} is no list of things that have names")
        self.used.add(full_name)
        inner = _Names(f"{full_name}.", kind.names, names)
        return fill.each(
            operator.name, self.value(operator.template, target, inner, f"{where}.$as")
        )

    def _use(self, name: str, names: _Names) -> Kind | Words:
        full_name, kind = self._find(name, names)
        if isinstance(kind, Items):
            raise ValueError(f"{name} is a list: write {{$each: {name}, $as: ...}}")
        self.used.add(full_name)
        return kind

    def _find(self, name: str, names: _Names) -> tuple[str, AnyKind]:
        try:
            return names.find(name)
        except KeyError:
            raise ValueError(f"there is no variable {name}{instead_of(name, names)}") from None


_TYPES: Mapping[Kind | Words, type | UnionType] = {
    Kind.TEXT: str,
    Kind.INTEGER: int,
    Kind.NUMBER: int | float,
    Kind.BOOLEAN: bool,
}


def _check_keys(name: str, table: Mapping[Any, Any], kind: Kind | Words) -> None:
    if isinstance(kind, Words):
        for key in table:
            if key not in kind.texts:
                raise ValueError(f"{name} is never {key}{instead_of(str(key), kind.texts)}")
    elif kind not in _TYPES:
        raise ValueError(f"{name} can't be translated")
    elif not all(isinstance(key, _TYPES[kind]) for key in table):
        raise ValueError(f"$to has what {name} never is")


def _is_list(given: Any) -> bool:
    return isinstance(given, list) or isinstance(operators.read(given), Each)


def _target(field: FieldDescriptor) -> _Target:
    if is_map(field):
        return _Map(field)
    return _Repeated(field) if field.is_repeated else _single(field)


def _single(field: FieldDescriptor) -> _Target:
    message = field.message_type
    if message is None:
        return _Single(field)
    if message.full_name in FREE:
        return _Free(field)
    return _Single(field) if message.full_name in WELL_KNOWN else _Message(message)


@dataclass(frozen=True, slots=True)
class _Single(_Target):
    """One value of a field."""

    field: FieldDescriptor

    def variable(self, name: str, kind: Kind | Words) -> Fill:
        if kind is Kind.TEXTS:
            raise ValueError(f"{self.field.full_name} is not repeated, and {name} is a list")
        if isinstance(kind, Words):
            if self.field.enum_type is not None:
                enum = self.field.enum_type.full_name
                raise ValueError(f"write {{$map: {name}, $to: ...}}, with values of {enum}")
            kind = Kind.TEXT
        return fill.variable(name, converter(kind, self.field))

    def text(self) -> Convert:
        return converter(Kind.TEXT, self.field)

    def literal(self, checker: _Checker, given: Any, names: _Names, where: str) -> Fill:
        if isinstance(given, dict) and self.field.message_type is not None:
            return _Message(self.field.message_type).literal(checker, given, names, where)
        return fill.same(constant(operators.unescaped(given), self.field))


@dataclass(frozen=True, slots=True)
class _Repeated(_Target):
    """All values of a field."""

    several: ClassVar[bool] = True

    field: FieldDescriptor

    def variable(self, name: str, kind: Kind | Words) -> Fill:
        if kind is not Kind.TEXTS:
            raise ValueError(f"{self.field.full_name} is repeated, and needs a list")
        return fill.texts(name, converter(kind, self.field))

    def text(self) -> Convert:
        raise ValueError(f"{self.field.full_name} is repeated, and needs a list")

    def literal(self, checker: _Checker, given: Any, names: _Names, where: str) -> Fill:
        if not _is_list(given):
            raise ValueError(f"{self.field.full_name} is repeated, and needs a list")
        return fill.joined(checker.items(given, _single(self.field), names, where))


@dataclass(frozen=True, slots=True)
class _Map(_Target):
    """All entries of a map."""

    field: FieldDescriptor

    def variable(self, name: str, kind: Kind | Words) -> Fill:
        raise ValueError(f"{self.field.full_name} is a map, and needs a mapping")

    def text(self) -> Convert:
        raise ValueError(f"{self.field.full_name} is a map, and needs a mapping")

    def literal(self, checker: _Checker, given: Any, names: _Names, where: str) -> Fill:
        if not isinstance(given, dict):
            raise ValueError(f"{self.field.full_name} is a map, and needs a mapping")
        entry = self.field.message_type
        assert entry is not None
        key, value = entry.fields_by_name["key"], _single(entry.fields_by_name["value"])
        return fill.mapping(
            [
                (constant(name, key), None, checker.value(part, value, names, f"{where}.{name}"))
                for name, part in given.items()
            ]
        )


@dataclass(frozen=True, slots=True)
class _Message(_Target):
    """A message."""

    message: Descriptor

    def variable(self, name: str, kind: Kind | Words) -> Fill:
        raise ValueError(f"{self.message.full_name} needs a mapping, which ${name} isn't")

    def text(self) -> Convert:
        raise ValueError(f"{self.message.full_name} needs a mapping, not a text")

    def literal(self, checker: _Checker, given: Any, names: _Names, where: str) -> Fill:
        if not isinstance(given, dict):
            raise ValueError(f"{self.message.full_name} needs a mapping")
        entries: dict[str, tuple[str, str | None, Fill]] = {}
        for key, part in given.items():
            inner = f"{where}.{key}"
            try:
                field = named_field(self.message, str(key))
            except ValueError as error:
                checker.wrong(inner, error)
                continue
            if field.name in entries:
                checker.wrong(inner, f"{field.full_name} is there twice")
            oneof = field.containing_oneof
            value = checker.value(part, _target(field), names, inner)
            entries[field.name] = field.name, None if oneof is None else oneof.name, value
        return fill.mapping([*entries.values()])


@dataclass(frozen=True, slots=True)
class _Json(_Target):
    """A value of JSON."""

    several: ClassVar[bool] = True

    def variable(self, name: str, kind: Kind | Words) -> Fill:
        return fill.variable(name, loaded if kind is Kind.JSON else as_it_is)

    def text(self) -> Convert:
        return as_it_is

    def literal(self, checker: _Checker, given: Any, names: _Names, where: str) -> Fill:
        if _is_list(given):
            return fill.joined(checker.items(given, self, names, where), may_be_empty=True)
        if isinstance(given, dict):
            entries = [
                (str(key), None, checker.value(part, self, names, f"{where}.{key}"))
                for key, part in given.items()
            ]
            return fill.mapping(entries, may_be_empty=True)
        if given is not None and not isinstance(given, str | int | float):
            raise ValueError(f"{given} can't be written in JSON")
        return fill.same(operators.unescaped(given))


@dataclass(frozen=True, slots=True)
class _Free(_Target):
    """A field that is JSON of any form."""

    several: ClassVar[bool] = True

    field: FieldDescriptor

    def variable(self, name: str, kind: Kind | Words) -> Fill:
        kind = Kind.TEXT if isinstance(kind, Words) else kind
        return fill.variable(name, converter(kind, self.field))

    def text(self) -> Convert:
        return converter(Kind.TEXT, self.field)

    def literal(self, checker: _Checker, given: Any, names: _Names, where: str) -> Fill:
        build = free_builder(self.field)
        build([] if _is_list(given) else {} if isinstance(given, dict) else given)
        return fill.built(_Json().literal(checker, given, names, where), build)
