"""What is exposed of a schema: its routes, and how their messages are read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from bridge.transcoding import routes
from bridge.transcoding.completions import Completions
from bridge.transcoding.completions import read as read_completions
from bridge.transcoding.errors import StatusErrors
from bridge.transcoding.json.reader import JsonReader
from bridge.transcoding.json.writer import JsonOptions, JsonWriter
from bridge.transcoding.path_table import PathTable
from bridge.transcoding.routes import Route, RouteError
from bridge.transcoding.schema import RpcMethod, Schema
from bridge.transcoding.service_config import ServiceConfig
from bridge.upstream.call import Method

ALL = "*"


@dataclass(frozen=True)
class Exposed:
    """The routes of some services of one schema. It never changes: a new schema makes a new one.

    Attributes:
        schema: Where they are from.
        services: The names of the services.
        table: The routes by their paths.
        reader: Reads messages.
        writer: Writes messages.
        completions: The methods that complete conversations instead of ``completion.v1``.
    """

    schema: Schema
    services: Sequence[str]
    table: PathTable[Route]
    reader: JsonReader
    writer: JsonWriter
    completions: Completions | None

    @cached_property
    def errors(self) -> StatusErrors:
        """How failures are told."""
        return StatusErrors(self.writer)

    def write(self, route: Route) -> Callable[[Message], bytes]:
        """Return what writes the answer of a route, which is no content."""
        if not route.response_body:
            return self.writer.write
        return self.writer.of_field(route.rpc.response.fields_by_name[route.response_body])


def method_of(rpc: RpcMethod) -> Method[Message, Message]:
    """Return what is called."""
    response: type[Message] = GetMessageClass(rpc.response)
    return Method(rpc.path, GetMessageClass(rpc.request), response.FromString)


def http_body(route: Route) -> Callable[[Message], Any]:
    """Return what takes the ``HttpBody`` of a route out of a message."""
    name = route.response_body
    return (lambda message: getattr(message, name)) if name else (lambda message: message)


def expose(
    schema: Schema,
    services: Iterable[str],
    config: ServiceConfig | None,
    completions: Path | None,
    options: JsonOptions,
    ignore_unknown: bool,
    own_paths: Mapping[str, Iterable[str]],
) -> Exposed:
    """Return what is exposed of a schema.

    Args:
        schema: What there is.
        services: The full names of services; ``ALL`` for all.
        config: Rules that replace those of the protos.
        completions: The file that maps completions to methods of the schema.
        options: How messages are written.
        ignore_unknown: See ``JsonReader``.
        own_paths: The paths that have another meaning here, each with its HTTP methods.

    Raises:
        RouteError: a service isn't there, a rule is wrong, or a path has two meanings.
        ServiceConfigError: a rule is for a method that there isn't.
        CompletionsError: the file can't be read, or doesn't fit the schema.
    """
    chosen = list(schema.services) if ALL in services else list(dict.fromkeys(services))
    missing = [name for name in chosen if name not in schema.services]
    if missing:
        raise RouteError([schema.missing(name) for name in missing])
    methods: Iterable[RpcMethod] = chain.from_iterable(schema.services.values())
    if config is not None:
        methods = config.apply(methods)
    table = routes.of_methods(rpc for rpc in methods if rpc.service in chosen)
    taken = [
        f"{found.route.rpc.path[1:]}: {found.route} is a path of the bridge's own"
        for path, http_methods in own_paths.items()
        for http_method in http_methods
        if (found := table.match(http_method, path)) and found.route.template.is_literal
    ]
    if taken:
        raise RouteError(taken)
    mapped = None if completions is None else read_completions(completions, schema)
    reader = JsonReader(schema.pool, ignore_unknown=ignore_unknown)
    return Exposed(schema, chosen, table, reader, JsonWriter(schema.pool, options), mapped)
