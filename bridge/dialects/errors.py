"""How a request that failed is told outside a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import orjson

from bridge.failure import Failure
from bridge.status import Status


class ErrorForm(ABC):
    """How the API of a wire tells of a request that failed, with an HTTP status and a body.

    Attributes:
        invalid: The HTTP status of a request that is JSON and yet not valid.
        media_type: The content type of the body.
    """

    invalid = 400
    media_type = "application/json"

    def http(self, status: Status) -> int:
        """Return the HTTP status of an RPC that failed with ``status``: the canonical mapping."""
        return status.http

    @abstractmethod
    def content(self, failure: Failure) -> bytes:
        """Return the body that tells of ``failure``."""


class JsonErrorForm(ErrorForm):
    """A form whose body is a JSON object."""

    @abstractmethod
    def body(self, failure: Failure) -> dict[str, Any]:
        """Return the object."""

    def content(self, failure: Failure) -> bytes:
        """Return the object as JSON."""
        return orjson.dumps(self.body(failure))
