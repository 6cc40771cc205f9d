"""The description of all routes, with those of the services that are exposed."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from bridge.transcoding.catalog import Catalog
from bridge.transcoding.exposed import Exposed
from bridge.transcoding.json.writer import JsonOptions
from bridge.transcoding.openapi.document import describe

Document = dict[str, Any]

_UNAVAILABLE = "x-unavailable"


class Description:
    """Adds the routes of a catalog to a document in OpenAPI 3.1.

    Args:
        own: Returns the document of the bridge's own routes.
        catalog: Has the others.
        options: How their messages are written.
    """

    def __init__(self, own: Callable[[], Document], catalog: Catalog, options: JsonOptions) -> None:
        self._own = own
        self._catalog = catalog
        self._options = options
        self._described: Exposed | None = None
        self._document: Document = {}
        self._lock = Lock()

    def __call__(self) -> Document:
        """Return the document, made anew when something else is exposed.

        Until a schema has been read, ``x-unavailable`` says why there is none.
        """
        exposed = self._catalog.exposed
        with self._lock:
            if exposed is None:
                return {**self._own(), _UNAVAILABLE: self._catalog.obstacle.message}
            if not exposed.services:
                return self._own()
            if exposed is not self._described:
                self._document = _merged(self._own(), exposed, self._options)
                self._described = exposed
            return self._document

    def answer(self, request: Request) -> Response:
        """Return the document as a response.

        That of thousands of methods takes seconds to make: this is for a thread of its own.
        """
        document = self()
        if root_path := request.scope.get("root_path", "").rstrip("/"):
            document = {**document, "servers": [{"url": root_path}]}
        return Response(orjson.dumps(document), media_type="application/json")


def _merged(own: Document, exposed: Exposed, options: JsonOptions) -> Document:
    services = describe(exposed.table, options, exposed.schema.comments)
    components = {**own.get("components", {})}
    components["schemas"] = components.get("schemas", {}) | services["components"]["schemas"]
    return {
        **own,
        # A path of ours that a service's template has, too, is ours.
        "paths": services["paths"] | own["paths"],
        "components": components,
        "tags": [*own.get("tags", ()), *services["tags"]],
    }
