"""How a transcoded RPC that failed is told: as ``google.rpc.Status``, in JSON.

https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson

from bridge.dialects.errors import JsonErrorForm
from bridge.failure import Failure
from bridge.transcoding.json.writer import JsonWriteError, JsonWriter


class StatusErrors(JsonErrorForm):
    """The form of Envoy and grpc-gateway: the code as a number, the message, the details.

    Args:
        writer: Writes the details, as far as their types are known.
    """

    def __init__(self, writer: JsonWriter) -> None:
        self._writer = writer

    def body(self, failure: Failure) -> dict[str, Any]:
        """Return the status."""
        return {
            "code": failure.status.code,
            "message": failure.message,
            "details": [*map(self._detail, failure.details)],
        }

    def in_stream(self, failure: Failure) -> bytes:
        """Return the status as one among messages, which is told from them by its one name."""
        return orjson.dumps({"error": self.body(failure)})

    def _detail(self, detail: Any) -> Any:
        try:
            return self._writer.to_json(detail)
        except JsonWriteError:
            return {"@type": detail.type_url, "value": b64encode(detail.value).decode()}
