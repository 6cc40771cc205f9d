"""The messages of ``trades.proto``: ten fields of mixed kinds, of which the text changes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from google.protobuf.message_factory import GetMessageClass

from bench.descriptors import TRADES, write_descriptors
from bench.messages import prefix, varint
from bench.order import FILLER, LEAST_SIZE, Order, last_text
from bridge.transcoding.schema import build, read

SERVICE = "bench.v1.Trades"
PATH = f"/{SERVICE}/Watch"

_TEXT = b"\x0a"
_FIELDS = {
    "quantity": 100,
    "trade_id": 9_007_199_254_740_993,
    "price": 1234.5,
    "fee": 0.25,
    "settled": True,
    "side": 1,
    "signature": b"\x00\x01\xfe\xff",
    "tags": ["block", "cross"],
    "venue": {"name": "Vienna", "distance": 12},
}
# As the JSON mapping of protobuf has them, behind the text.
WRITTEN = (
    '"quantity":100,"tradeId":"9007199254740993","price":1234.5,"fee":0.25,"settled":true,'
    '"side":"SIDE_BUY","signature":"AAH+/w==","tags":["block","cross"],'
    '"venue":{"name":"Vienna","distance":12}}'
)


class Watch:
    """What ``bench.v1.Trades/Watch`` takes and sends."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "trades.pb"
            write_descriptors(path, TRADES)
            (method,) = build(read([path])).services[SERVICE]
        self._request: Any = GetMessageClass(method.request)
        self._fields: bytes = GetMessageClass(method.response)(**_FIELDS).SerializeToString()

    def order(self, request: bytes) -> Order:
        """Return the order of a request."""
        return Order.from_json(self._request.FromString(request).order)

    def messages(self, text_bytes: int) -> Trades:
        """Return the messages of all streams whose texts have ``text_bytes`` bytes."""
        return Trades(text_bytes, self._fields)


class Trades:
    """The messages of streams whose texts have ``text_bytes`` bytes.

    Attributes:
        size: The bytes of a message with its prefix.
    """

    def __init__(self, text_bytes: int, fields: bytes) -> None:
        before = _TEXT + varint(text_bytes) + b"#"
        rest = len(before) + text_bytes - 1 + len(fields)
        self._before = prefix(rest) + before
        self._after = FILLER * (text_bytes - LEAST_SIZE) + fields
        self._fields = fields
        self.size = len(prefix(rest)) + rest

    def message(self, index: int, now: int) -> bytes:
        """Return the message of number ``index``, stamped with ``now``."""
        return b"%b%07d%016d%b" % (self._before, index, now, self._after)

    def last(self, count: int) -> bytes:
        """Return the message that says how many there were before it."""
        text = last_text(count).encode()
        message = _TEXT + varint(len(text)) + text + self._fields
        return prefix(len(message)) + message
