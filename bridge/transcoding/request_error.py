"""Why a request is no message of an RPC."""

from __future__ import annotations

from bridge.transcoding.field_error import FieldError


class RequestError(FieldError):
    """A request that is no message."""
