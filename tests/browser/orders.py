"""A gRPC backend of orders, for the explorer: a test decides each step of what is watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2

from tests.transcoding.backend import Behaviour

PROTO = """
package orders.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/httpbody.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

// Takes orders, and tells what becomes of them.
service Orders {
  // Returns an order.
  rpc Get(GetRequest) returns (Order) {
    option (google.api.http) = {get: "/v1/{name=orders/*}"};
  }
  // Makes an order of what is wanted. What the warehouse lacks is ordered there first.
  rpc Create(Order) returns (Order) {
    option (google.api.http) = {post: "/v1/orders" body: "*"};
  }
  // Watches orders, until you leave: each change is a message.
  rpc Watch(WatchRequest) returns (stream Order) {
    option (google.api.http) = {
      get: "/v1/orders:watch"
      additional_bindings {post: "/v1/orders:watch" body: "*"}
    };
  }
  // Takes many orders at once.
  rpc Import(stream Order) returns (ImportSummary);
  rpc Correct(stream Order) returns (stream Order);
  // Returns the label that is glued on the parcel.
  rpc Label(GetRequest) returns (google.api.HttpBody) {
    option (google.api.http) = {get: "/v1/{name=orders/*}/label"};
  }
  rpc Attach(google.api.HttpBody) returns (Order) {
    option (google.api.http) = {post: "/v1/attachments" body: "*"};
  }
  rpc Find(GetRequest) returns (Order) {
    option deprecated = true;
    option (google.api.http) = {get: "/v1/files/{name=**}"};
  }
}
message GetRequest {
  // Its name, as in orders/7.
  string name = 1;
}
enum State { STATE_UNSPECIFIED = 0; OPEN = 1; SHIPPED = 2; }
message WatchRequest {
  // How many messages come at once; 0 for those of the test.
  int32 count = 1;
  // The status after them.
  string fail = 2;
  // Only those in this state.
  State state = 3;
  repeated string regions = 4;
  google.protobuf.Timestamp since = 5;
  bool urgent = 6;
}
message Order {
  string name = 1 [(google.api.field_behavior) = OUTPUT_ONLY];
  // Who has ordered.
  string customer = 2;
  // In cents.
  int64 price = 3;
  State state = 4;
  repeated Item items = 5;
  google.protobuf.Timestamp due = 6;
  google.protobuf.Duration patience = 7;
  map<string, string> labels = 8;
  oneof delivery { Address address = 9; string locker = 10; }
  Order replaces = 11;
  google.protobuf.StringValue note = 12;
  bytes signature = 13;
  double discount = 14;
  google.protobuf.Any extension = 15;
}
message Item { string article = 1; uint32 quantity = 2; repeated string tags = 3; }
message Address { string street = 1; string town = 2; }
message ImportSummary { int32 count = 1; int64 price = 2; }
"""
PICTURE = bytes(range(256))
LABELS: dict[str, dict[str, Any]] = {
    "orders/picture": {"content_type": "image/png", "data": PICTURE},
    "orders/text": {"content_type": "text/plain; charset=utf-8", "data": "a  ü\n\tb".encode()},
    "orders/long": {"content_type": "text/plain", "data": b"x" * 300_000},
}


class Orders:
    """Does what the test says: a Watch goes on when it is told to.

    Attributes:
        address: Where it listens.
        began: A Watch has come.
        cancelled: It was cancelled.
        asked: The last request of a method that takes one.
        metadata: What came with it.
    """

    def __init__(self) -> None:
        self.address = ""
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.asked: Any = None
        self.metadata: dict[str, Any] = {}
        self._steps: asyncio.Queue[dict[str, Any] | str] = asyncio.Queue()

    def send(self, **fields: Any) -> None:
        """Send an order."""
        self._steps.put_nowait(fields)

    def end(self, status: str = "OK") -> None:
        """End with a status."""
        self._steps.put_nowait(status)

    async def until_end(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the fields of orders; fail if the test says so."""
        self.began.set()
        try:
            while isinstance(step := await self._steps.get(), dict):
                yield step
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if step != "OK":
            raise ValueError(step)

    def behaviour(self) -> Behaviour:
        """Return what the methods do."""
        unary = {name: self._one(name) for name in ("Get", "Create", "Label", "Attach", "Find")}
        return {**unary, "Watch": self._watch, "Import": self._import, "Correct": self._correct}

    def _one(self, method: str) -> Any:
        def one(answer: Any) -> Any:
            async def one(request: Any, context: Any) -> Any:
                self.asked = request
                self.metadata = dict(context.invocation_metadata())
                if method == "Label":
                    return answer(**LABELS[request.name])
                if method == "Attach":
                    return answer(customer=request.content_type, price=len(request.data))
                if method == "Create":
                    return request
                if request.name == "orders/none":
                    await fail(context, "NOT_FOUND")
                return answer(name=request.name, customer="Ada", price=1 << 60)

            return one

        return one

    def _watch(self, answer: Any) -> Any:
        async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
            self.asked = request
            for number in range(request.count):
                yield answer(name=f"orders/{number}", price=number)
            if request.fail:
                await fail(context, request.fail)
            if request.count:
                context.set_trailing_metadata((("x-cost", "2"),))
                return
            try:
                async for fields in self.until_end():
                    yield answer(**fields)
            except ValueError as error:
                await fail(context, str(error))

        return watch

    def _import(self, answer: Any) -> Any:
        async def import_(requests: Any, context: Any) -> Any:
            prices = [order.price async for order in requests]
            return answer(count=len(prices), price=sum(prices))

        return import_

    def _correct(self, answer: Any) -> Any:
        async def correct(requests: Any, context: Any) -> AsyncIterator[Any]:
            async for order in requests:
                yield answer(customer=order.customer.upper())

        return correct


async def fail(context: Any, code: str) -> None:
    """End an RPC with a status, its message and a detail."""
    detail = AnyMessage()
    detail.Pack(error_details_pb2.ErrorInfo(reason="WAREHOUSE_CLOSED", domain="orders"))
    status = status_pb2.Status(
        code=code_pb2.Code.Value(code), message="The warehouse is closed.", details=[detail]
    )
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(grpc.StatusCode[code], status.message)
