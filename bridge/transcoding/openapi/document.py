"""Routes as OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bridge.transcoding.comments import summary
from bridge.transcoding.json.writer import JsonOptions
from bridge.transcoding.openapi.content import Contents
from bridge.transcoding.openapi.json_schema import JsonSchemas
from bridge.transcoding.openapi.parameters import Parameters
from bridge.transcoding.openapi.path import OpenApiPath, Paths, unique
from bridge.transcoding.routes import Route

_METHODS = frozenset(("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"))
_OTHER_METHODS = "x-additionalOperations"
_RPC = "x-rpc"


def describe(
    routes: Iterable[Route], options: JsonOptions, comments: Mapping[str, str]
) -> dict[str, Any]:
    """Return the ``paths``, ``components`` and ``tags`` of routes.

    Each service is a tag. The ``operationId`` is ``Service_Method``; with the full name of the
    service if several packages have one of that name, and with a number for all routes of a method
    after the first.

    OpenAPI has operations for eight HTTP methods only. Those of others, and of
    ``path_table.ANY_METHOD``, stand in ``x-additionalOperations``, as they do without the ``x-`` in
    OpenAPI 3.2. It has no word for what is behind an operation: that stands in ``x-rpc``, with the
    names that ``google.protobuf.MethodDescriptorProto`` has in JSON.

    Args:
        routes: What is described, in this order.
        options: How messages are written.
        comments: What protos say of services, methods and so on; see ``comments.of_file``.
    """
    document = _Document(list(routes), options, comments)
    return {
        "paths": document.paths(),
        "components": {"schemas": document.schemas.components()},
        "tags": document.tags(),
    }


class _Document:
    def __init__(
        self, routes: Sequence[Route], options: JsonOptions, comments: Mapping[str, str]
    ) -> None:
        self.schemas = JsonSchemas(options, comments)
        self._routes = routes
        self._comments = comments
        self._parameters = Parameters(self.schemas, comments)
        self._contents = Contents(self.schemas, options)
        self._services = list(dict.fromkeys(route.rpc.service for route in routes))
        self._of_short_name = Counter(map(_short, self._services))
        self._ids: set[str] = set()

    def tags(self) -> list[dict[str, str]]:
        return [
            {"name": service, "description": self._comments[service]}
            if service in self._comments
            else {"name": service}
            for service in self._services
        ]

    def paths(self) -> dict[str, Any]:
        items: dict[str, dict[str, Any]] = {}
        paths = Paths()
        for route in self._routes:
            path = paths.add(route.http_method, route.template)
            item = items.setdefault(str(path), {})
            operation = self._operation(route, path)
            if route.http_method in _METHODS:
                item[route.http_method.lower()] = operation
            else:
                item.setdefault(_OTHER_METHODS, {})[route.http_method] = operation
        return items

    def _operation(self, route: Route, path: OpenApiPath) -> dict[str, Any]:
        rpc = route.rpc
        operation: dict[str, Any] = {"tags": [rpc.service]}
        comment = self._comments.get(f"{rpc.service}.{rpc.name}")
        if comment:
            operation |= {"summary": summary(comment), "description": comment}
        operation["operationId"] = self._operation_id(route)
        operation[_RPC] = {
            "method": rpc.path.removeprefix("/"),
            "clientStreaming": rpc.client_streaming,
            "serverStreaming": rpc.server_streaming,
        }
        if rpc.deprecated:
            operation["deprecated"] = True
        in_path = self._parameters.of_path(route, path)
        operation["parameters"] = [*in_path, *self._parameters.of_query(route)]
        body = self._contents.request_body(route)
        if body is not None:
            operation["requestBody"] = body
        operation["responses"] = self._contents.responses(route)
        return operation

    def _operation_id(self, route: Route) -> str:
        service = route.rpc.service
        name = _short(service)
        if self._of_short_name[name] > 1:
            name = service.replace(".", "_")
        found = unique(f"{name}_{route.rpc.name}", self._ids)
        self._ids.add(found)
        return found


def _short(service: str) -> str:
    return service.rpartition(".")[2]
