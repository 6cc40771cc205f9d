"""A service that answers with what it was asked: its clients see what was understood."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from tests.transcoding.backend import Behaviour

SERVICE = "echo.v1.Echo"

PROTO = """
package echo.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

service Echo {
  // With the path, the query and the body in all of their places.
  rpc One(All) returns (All) {
    option (google.api.http) = {
      get: "/v1/one/{text}"
      additional_bindings {post: "/v1/one/{text}" body: "*"}
      additional_bindings {put: "/v1/one/{inner.text}/of/{text}" body: "inner"}
      additional_bindings {patch: "/v1/texts/{text}" body: "texts"}
      additional_bindings {post: "/v1/text" body: "text"}
      additional_bindings {get: "/v1/{text=shelves/*/books/*}"}
      additional_bindings {get: "/v1/files/{text=**}"}
      additional_bindings {get: "/v1/files/{text=**}:archive"}
      additional_bindings {post: "/v1/one/{text}:cancel" body: "*"}
      additional_bindings {get: "/v1/one/mine"}
      additional_bindings {get: "/v1/any/*/{text}/**"}
      additional_bindings {get: "/v1/numbers/{i32}/{u64}/{d}"}
      additional_bindings {get: "/v1/others/{flag}/{kind}/{raw}"}
      additional_bindings {get: "/v1/known/{at}/{lasts}/{wrapped}"}
      additional_bindings {custom {kind: "REPORT" path: "/v1/all"}}
      additional_bindings {delete: "/v1/all"}
      additional_bindings {get: "/v1/all"}
      additional_bindings {post: "/v1/all" body: "*"}
      additional_bindings {get: "/v1/only/inner" response_body: "inner"}
      additional_bindings {get: "/v1/only/texts" response_body: "texts"}
      additional_bindings {get: "/v1/only/text" response_body: "text"}
    };
  }
  rpc Many(All) returns (stream All) {
    option (google.api.http) = {get: "/v1/many" additional_bindings {post: "/v1/many" body: "*"}};
  }
  rpc Sum(stream All) returns (All) {
    option (google.api.http) = {post: "/v1/sum" body: "*"};
  }
  rpc Talk(stream All) returns (stream All) {
    option (google.api.http) = {post: "/v1/talk" body: "*"};
  }
  rpc Content(Upload) returns (google.api.HttpBody) {
    option (google.api.http) = {post: "/v1/content/{name}" body: "content"};
  }
  rpc Plain(All) returns (All);
}

enum Kind { NONE = 0; SOME = 1; MANY = 2; }
message All {
  string text = 1;
  int32 i32 = 2;
  int64 i64 = 3;
  uint32 u32 = 4;
  uint64 u64 = 5;
  float f = 6;
  double d = 7;
  bool flag = 8;
  bytes raw = 9;
  Kind kind = 10;
  All inner = 11;
  repeated string texts = 12;
  repeated int32 numbers = 13;
  repeated Kind kinds = 14;
  map<string, int32> counts = 15;
  google.protobuf.Timestamp at = 16;
  google.protobuf.Duration lasts = 17;
  google.protobuf.FieldMask mask = 18;
  google.protobuf.Int64Value wrapped = 19;
  google.protobuf.StringValue wrapped_text = 20;
  google.protobuf.Struct struct = 21;
  google.protobuf.Value value = 22;
  optional int32 maybe = 23;
  repeated All more = 24;
  oneof choice { string left = 25; int32 right = 26; }
  google.protobuf.Any any = 27;
  google.protobuf.Empty empty = 28;
  map<int64, All> by_number = 29;
  google.protobuf.BoolValue wrapped_flag = 30;
  sint64 s64 = 31;
  string odd_name = 32 [json_name = "odd-name"];
  // What is to come: how many messages of a stream, and the status after them.
  int32 count = 40;
  int32 fail = 41;
}
message Upload {
  string name = 1;
  google.api.HttpBody content = 2;
}
"""

STATUSES = {status.value[0]: status for status in grpc.StatusCode}


async def _end(request: Any, context: Any) -> None:
    if request.fail in STATUSES and request.fail:
        await context.abort(STATUSES[request.fail], "so it is")


def one(answer: Any) -> Any:
    async def one(request: Any, context: Any) -> Any:
        await _end(request, context)
        return request

    return one


def many(answer: Any) -> Any:
    async def many(request: Any, context: Any) -> AsyncIterator[Any]:
        for _ in range(min(request.count, 3)):
            yield request
        await _end(request, context)

    return many


def total(answer: Any) -> Any:
    async def total(requests: Any, context: Any) -> Any:
        return answer(more=[request async for request in requests])

    return total


def talk(answer: Any) -> Any:
    async def talk(requests: Any, context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield request
            await _end(request, context)

    return talk


def content(answer: Any) -> Any:
    async def content(request: Any, context: Any) -> Any:
        return request.content

    return content


BEHAVIOUR: Behaviour = {
    "One": one,
    "Plain": one,
    "Many": many,
    "Sum": total,
    "Talk": talk,
    "Content": content,
}
