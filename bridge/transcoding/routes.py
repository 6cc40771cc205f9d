"""The HTTP routes of a service's methods: what ``google.api.http`` says, and one for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from bridge.transcoding.exposure_error import ExposureError
from bridge.transcoding.path_table import PathConflictError, PathTable
from bridge.transcoding.path_template import PathTemplate, Variable, parse
from bridge.transcoding.schema import RpcMethod
from bridge.transcoding.well_known import TEXTS

WHOLE = "*"

_HTTP_BODY = "google.api.HttpBody"


class RouteError(ExposureError):
    """Rules that make no routes."""


@dataclass(frozen=True, slots=True)
class Route:
    """How an RPC is called by HTTP.

    Attributes:
        http_method: The HTTP method; ``path_table.ANY_METHOD`` for all.
        template: Of its paths.
        rpc: The method of the service.
        body: The field of the request that the body is; ``WHOLE`` for what the path doesn't set,
            empty for none.
        response_body: The field of the response that is the answer; empty for all of it.
    """

    http_method: str
    template: PathTemplate
    rpc: RpcMethod
    body: str = ""
    response_body: str = ""

    def __str__(self) -> str:
        return f"{self.http_method} {self.template}"

    @property
    def takes_content(self) -> bool:
        """Whether the body of a request is no JSON, but what an ``HttpBody`` has, as it is."""
        return bool(self.body) and _is_content(self.rpc.request, self.body)

    @property
    def answers_content(self) -> bool:
        """Whether the answer is no JSON, but what an ``HttpBody`` has, as it is."""
        return _is_content(self.rpc.response, self.response_body or WHOLE)


def of_methods(methods: Iterable[RpcMethod]) -> PathTable[Route]:
    """Return the routes of all ``methods``.

    One without a rule has ``POST /package.Service/Method``, and ``GET`` too if it has no side
    effects.

    Raises:
        RouteError: a rule is wrong, or two are for the same paths.
    """
    table: PathTable[Route] = PathTable()
    problems = []
    for rpc in methods:
        for rule in _rules(rpc):
            try:
                route = _route(rpc, rule)
                table.add(route.http_method, route.template, route)
            except PathConflictError as error:
                problems.append(f"{_name(rpc)}: {error}, a route of {_name(error.route.rpc)}")
            except ValueError as error:
                problems.append(f"{_name(rpc)}: {error}")
    if problems:
        raise RouteError(problems)
    return table


def _name(rpc: RpcMethod) -> str:
    return f"{rpc.service}.{rpc.name}"


def _rules(rpc: RpcMethod) -> Iterator[HttpRule]:
    if rpc.rule is None:
        yield HttpRule(post=rpc.path, body=WHOLE)
        if rpc.no_side_effects and not rpc.client_streaming:
            yield HttpRule(get=rpc.path)
    else:
        yield rpc.rule
        yield from rpc.rule.additional_bindings


def _route(rpc: RpcMethod, rule: HttpRule) -> Route:
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise ValueError("its rule has no pattern, such as get or post")
    if rule is not rpc.rule and rule.additional_bindings:
        raise ValueError("an additional binding can't have more of them")
    if kind == "custom":
        http_method, path = rule.custom.kind.upper(), rule.custom.path
    else:
        http_method, path = kind.upper(), getattr(rule, kind)
    if http_method == "GET" and rule.body:
        raise ValueError(f"GET {path} can't have a body")
    template = parse(path)
    for variable in template.variables:
        _check_variable(rpc.request, variable)
    _check_body(rpc.request, template, rule.body)
    if rule.response_body:
        _field(rpc.response, rule.response_body)
    return Route(http_method, template, rpc, rule.body, rule.response_body)


def _is_content(message: Descriptor, body: str) -> bool:
    inner: Descriptor | None = message
    if body != WHOLE:
        field = message.fields_by_name[body]
        inner = None if field.is_repeated else field.message_type
    return inner is not None and inner.full_name == _HTTP_BODY


def _field(message: Descriptor, name: str) -> FieldDescriptor:
    field = message.fields_by_name.get(name)
    if field is None:
        raise ValueError(f"{message.full_name} has no field {name}")
    return field


def _check_variable(message: Descriptor, variable: Variable) -> None:
    *outer, last = variable.field_path
    for name in outer:
        field = _field(message, name)
        if field.message_type is None or field.is_repeated:
            raise ValueError(f"{message.full_name}.{name} is no message, so nothing is in it")
        message = field.message_type
    field = _field(message, last)
    if field.is_repeated or (field.message_type is not None and not is_text(field.message_type)):
        raise ValueError(
            f"{message.full_name}.{last} can't be set by a path: it is no single value"
        )


def is_text(message: Descriptor) -> bool:
    """Return whether a message is a text, a number or a truth in JSON, not an object."""
    return message.full_name in TEXTS


def _check_body(message: Descriptor, template: PathTemplate, body: str) -> None:
    if body in ("", WHOLE):
        return
    _field(message, body)
    if any(variable.field_path == (body,) for variable in template.variables):
        raise ValueError(f"{body} is set by the path and by the body")
