"""Requests that nobody sends by mistake: each is an RPC or 4xx, and the bridge goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.routes import transcoding
from bridge.settings import Settings
from bridge.transcoding.content import to_messages
from tests.conftest import RunningBridge, beside_the_loop, on_each_transport, serving_bridge
from tests.transcoding.backend import schema_of, serving
from tests.transcoding.conftest import Compile

pytestmark = [
    on_each_transport,
    pytest.mark.on_default_transport,
    pytest.mark.usefixtures("no_error_is_logged"),
]

WIDE = 2000
NOTES = f"""
package notes.v1;
import "google/api/annotations.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
message Note {{
  string name = 1;
  Note inner = 2;
  repeated string tags = 3;
  int64 number = 4;
  double real = 5;
  google.protobuf.Struct more = 6;
  map<string, Note> by_name = 7;
  google.protobuf.Duration lasts = 8;
  google.protobuf.Any any = 9;
  bytes raw = 10;
}}
message Wide {{ {"".join(f"repeated string a_{n} = {n};" for n in range(1, WIDE + 1))} }}
service Notes {{
  rpc Get(Note) returns (Note) {{ option (google.api.http) = {{get: "/v1/{{name}}"}}; }}
  rpc GetTree(Note) returns (Note) {{ option (google.api.http) = {{get: "/tree/{{name=**}}"}}; }}
  rpc Open(Note) returns (Note) {{ option (google.api.http) = {{get: "/open/{{name}}:now"}}; }}
  rpc Find(Note) returns (Note) {{ option (google.api.http) = {{get: "/find"}}; }}
  rpc Put(Note) returns (Note) {{ option (google.api.http) = {{post: "/put" body: "*"}}; }}
  rpc Send(stream Note) returns (Note) {{
    option (google.api.http) = {{post: "/send" body: "*"}};
  }}
  rpc FindWide(Wide) returns (Note) {{ option (google.api.http) = {{get: "/wide"}}; }}
}}
"""


def echo(answer: Any) -> Any:
    async def echo(request: Any, context: Any) -> Any:
        return request

    return echo


def count(answer: Any) -> Any:
    async def count(requests: Any, context: Any) -> Any:
        return answer(number=len([request async for request in requests]))

    return count


def count_tags(answer: Any) -> Any:
    async def count_tags(request: Any, context: Any) -> Any:
        return answer(number=len(request.ListFields()[0][1]))

    return count_tags


BEHAVIOUR = {
    **dict.fromkeys(["Get", "GetTree", "Open", "Find", "Put"], echo),
    "Send": count,
    "FindWide": count_tags,
}


@pytest.fixture(scope="module")
def notes(compile_protos: Compile) -> Path:
    return compile_protos(notes=NOTES)


@pytest.fixture(scope="module")
async def notes_bridge(notes: Path, transport: str) -> AsyncIterator[RunningBridge]:
    async with serving(schema_of(notes), BEHAVIOUR) as address:
        chosen = Settings(
            backend=address, services=["notes.v1.Notes"], descriptors=[notes], shutdown_grace=0
        )
        async with serving_bridge(chosen) as running:
            yield running


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any

    @property
    def field(self) -> str:
        """The field that is wrong."""
        (violation,) = self.body["details"][0]["fieldViolations"]
        found: str = violation.get("field", "")
        return found


class Client:
    """Sends what no client would."""

    def __init__(self, url: str) -> None:
        self._address = url.removeprefix("http://").split(":")

    async def send(self, request: bytes) -> Answer:
        reader, writer = await asyncio.open_connection(*self._address)
        writer.write(request)
        async with asyncio.timeout(20):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return Answer(int(head.split()[1]), json.loads(body))

    async def get(self, target: bytes) -> Answer:
        return await self.send(b"GET %b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" % target)

    async def post(self, target: str, body: bytes, kind: str = "application/json") -> Answer:
        head = (
            f"POST {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
            f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return await self.send(head.encode() + body)


@pytest.fixture
async def client(notes_bridge: RunningBridge) -> AsyncIterator[Client]:
    """Yield a client, after which others are still served."""
    client = Client(notes_bridge.url)
    yield client
    assert await client.get(b"/v1/alive") == Answer(200, {"name": "alive"})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        # A variable of one segment is decoded once, and wholly.
        (b"/v1/a%2Fb", "a/b"),
        (b"/v1/%252F", "%2F"),
        (b"/v1/..", ".."),
        (b"/v1/%2e%2e", ".."),
        (b"/v1/.%2F..%2Fhealthz", "./../healthz"),
        (b"/v1/a;b=c", "a;b=c"),
        (b"/v1/;", ";"),
        (b"/v1/%00", "\0"),
        (b"/v1/%0D%0AX:%20y", "\r\nX: y"),
        (b"/v1/%", "%"),
        (b"/v1/%zz", "%zz"),
        (b"/v1/a\\b", "a\\b"),
        (b"/v1/a#b", "a"),
        (b"/v1/a?name=b", "a"),
        (b"/%76%31/a", "a"),
        (b"http://b/v1/a", "a"),
        (b"/v1/" + b"a" * 10_000, "a" * 10_000),
        # One of several keeps `%2F`, and no dot means anything.
        (b"/tree/a/../b", "a/../b"),
        (b"/tree/../healthz", "../healthz"),
        (b"/tree/%2e%2e/%2F", "../%2F"),
        (b"/tree/%252F", "%2F"),
        (b"/tree//", "/"),
        (b"/tree//a", "/a"),
        (b"/tree/" + b"/" * 10_000, "/" * 10_000),
        (b"/open/a:b:now", "a:b"),
    ],
    ids=lambda given: str(given)[:30],
)
async def test_a_path_is_a_value_and_never_another_path(
    client: Client, path: bytes, name: str
) -> None:
    assert await client.get(path) == Answer(200, {"name": name})


@pytest.mark.parametrize(
    "path",
    [
        *(b"/v1/../healthz", b"/v1/%2e%2e/x", b"/v1/", b"/v1//", b"//v1/a", b"/v1/a/", b"/v1/a//"),
        *(b"/v1%2Fa", b"/./v1/a", b"/x/../v1/a", b"/v1/%FF", b"/v1/%C3%28", b"/tree/%ED%A0%80"),
        *(b"/open/a%3Anow", b"/open/a:now:", b"/" + b"a/" * 5000, b"*", b"/V1/a"),
    ],
    ids=lambda given: str(given)[:30],
)
async def test_a_path_that_no_template_has_is_not_found(client: Client, path: bytes) -> None:
    answer = await client.get(path)
    assert (answer.status, answer.body["error"]) == (404, "Not Found")


@pytest.mark.parametrize(
    ("target", "status", "sentence"),
    [
        (b"/v1/\xff", 400, "The request is not HTTP/1.1."),
        (b"/v1/a b", 400, "The request is not HTTP/1.1."),
        (b"/find?name=\xc3\xa9", 400, "The request is not HTTP/1.1."),
        (
            b"/v1/" + b"a" * 100_000,
            431,
            "The request line and the headers are larger than 16384 bytes.",
        ),
        (
            b"/find?" + b"tags=a&" * 10_000,
            431,
            "The request line and the headers are larger than 16384 bytes.",
        ),
    ],
    ids=lambda given: str(given)[:30],
)
async def test_a_request_line_that_is_none_is_refused(
    client: Client, target: bytes, status: int, sentence: str
) -> None:
    answer = await client.get(target)
    assert (answer.status, answer.body["error"]) == (status, sentence)


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        *((name, name, "there is no such field") for name in ("__proto__", "__class__", "a[]")),
        ("constructor.prototype=1", "constructor.prototype", "there is no such field"),
        ("inner.__dict__=1", "inner.__dict__", "there is no such field"),
        ("name.=a", "name.", "there is no such field"),
        (".name=a", ".name", "there is no such field"),
        ("=a", "", "there is no such field"),
        ("name[]=a", "name[]", "there is no such field"),
        ("tags[0]=a", "tags[0]", "there is no such field"),
        ("byName.a.name=b", "byName.a.name", "there is no such field"),
        ("any.typeUrl=a", "any.typeUrl", "there is no such field"),
        ("name=a&name=b", "name", "it is set twice"),
        ("by_name=a", "by_name", "it is a message: name a field of it"),
        ("inner." * 2000 + "name=a", "inner." * 99 + "inner", "it is nested too deep"),
        ("inner." * 2000, "inner." * 2000, "there is no such field"),
        ("x." * 7000 + "x=1", "x." * 7000 + "x", "there is no such field"),
        ("name=%FF", "", "The query isn't UTF-8."),
        ("name=%ED%A0%80", "", "The query isn't UTF-8."),
        ("number=" + "9" * 10_000, "number", "it has to be an integer from "),
        ("number=%D9%A1", "number", "it has to be an integer from "),
        ("number=1e999999999", "number", "it has to be an integer from "),
        ("real=1e999999999", "real", "it has to be a number of 64 bits, not "),
        ("real=infinity", "real", "it has to be a number of 64 bits, not "),
        ("lasts=" + "9" * 10_000 + "s", "lasts", "it has to be a duration such as "),
    ],
    ids=lambda given: given[:30],
)
async def test_a_query_that_sets_no_field_is_refused_by_its_name(
    client: Client, query: str, field: str, reason: str
) -> None:
    answer = await client.get(b"/find?" + query.encode())
    assert (answer.status, answer.field) == (400, field)
    told = answer.body["message"].removeprefix(f"{field}: ")
    assert told.startswith(reason)


async def test_a_query_with_thousands_of_names_is_a_list(client: Client) -> None:
    answer = await client.get(b"/find?" + b"tags=a&" * 2300)
    assert answer == Answer(200, {"tags": ["a"] * 2300})
    assert await client.get(b"/find?" + b"&" * 16_000) == Answer(200, {})
    assert await client.get(b"/find?tags=a;tags=b&tags") == Answer(200, {"tags": ["a;tags=b", ""]})


async def test_a_name_of_a_message_with_very_many_fields_is_found(client: Client) -> None:
    query = f"a{WIDE}=&" * 2300
    answer = await client.get(b"/wide?" + query.encode())
    assert answer == Answer(200, {"number": "2300"})


INTEGER = "it has to be an integer from "
TOO_DEEP = "it is nested too deep"
NO_JSON = "The body is no JSON: "
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        (b"[" * MILLION, "", NO_JSON + TOO_DEEP),
        (b'{"inner":' * 50_000, "", NO_JSON + TOO_DEEP),
        (b'{"inner":' * 200 + b"{}" + b"}" * 200, "inner." * 99 + "inner", TOO_DEEP),
        (b'{"more":' + b'{"a":' * 200 + b"1" + b"}" * 201, None, TOO_DEEP),
        (b'{"number":1e999999999}', "number", INTEGER),
        (b'{"number":1e-999999999}', "number", INTEGER),
        (b'{"number":1e%d}' % 10**30, "number", INTEGER),
        (b'{"number":%b}' % (b"1" * MILLION), "number", INTEGER),
        (b'{"number":"%b"}' % (b"1" * MILLION), "number", INTEGER),
        (b'{"number":1.%b1}' % (b"0" * MILLION), "number", INTEGER),
        (b'{"real":1e999999999}', "real", "it has to be a number of 64 bits, not 1e999999999"),
        (b'{"real":%b}' % (b"1" * MILLION), "real", "it has to be a number of 64 bits, not 111"),
        (b'{"more":{"a":1e400}}', 'more["a"]', "it has to be a number of 64 bits, not 1e400"),
        (b'{"lasts":"%bs"}' % (b"9" * MILLION), "lasts", "it has to be a duration "),
        (b'{"raw":"%b!"}' % (b"A" * MILLION), "raw", "it has to be a string in base64, not "),
        (b'{"name":"a","name":"b"}', "name", "it is there twice"),
        (b'{"by_name":{},"byName":{}}', "byName", "it is there twice"),
        (b'{"more":{"a":1,"a":2}}', 'more["a"]', "it is there twice"),
        (b'{"name":"\\ud800"}', "name", "it has half of a surrogate pair"),
        (b'{"more":{"\\ud800":1}}', 'more["\\ud800"]', "it has half of a surrogate pair"),
        (b'{"\\udfff":1}', "\\udfff", "there is no such field"),
        (b'{"__proto__":{}}', "__proto__", "there is no such field"),
        (b'{"any":{"@type":"a/\\u0000"}}', "any.@type", "there is no type "),
        (b'{"any":{"@type":"%b"}}' % (b"a" * MILLION), "any.@type", "there is no type "),
        (b'\xef\xbb\xbf{"name":"a"}', "", NO_JSON),
        ('{"name":"a"}'.encode("utf-16"), "", NO_JSON + "it isn't UTF-8"),
        (b'{"name":"\xed\xa0\x80"}', "", NO_JSON + "it isn't UTF-8"),
        (b'{"name":"a"}\0', "", NO_JSON),
        (b'{"name":"\0"}', "", NO_JSON),
        (b'{"number":01}', "", NO_JSON),
        (b'{"real":NaN}', "", NO_JSON),
        (b"null", "", "The body is no message: it has to be an object, not null"),
    ],
    ids=lambda given: str(given)[:30],
)
async def test_a_body_that_is_no_message_is_refused_by_its_field(
    client: Client, body: bytes, field: str | None, reason: str
) -> None:
    answer = await client.post("/put", body)
    assert answer.status == 400
    assert field in (None, answer.field)
    told = answer.body["message"].removeprefix(f"{answer.field}: ")
    assert told.startswith(reason)
    assert len(answer.body["message"]) < 1000


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (b'{"number":1.%b}' % (b"0" * MILLION), {"number": "1"}),
        (b'{"number":1%be-1000000}' % (b"0" * MILLION), {"number": "1"}),
        (b'{"real":0.%b1}' % (b"0" * MILLION), {}),
        (b'{"name":"\\u0000\\ud83d\\ude00"}', {"name": "\0\U0001f600"}),
        (b'{"tags":[%b"a"]}' % (b'"a",' * 200_000), {"tags": ["a"] * 200_001}),
    ],
    ids=lambda given: str(given)[:30],
)
async def test_a_body_that_is_large_but_right_is_taken(
    client: Client, body: bytes, note: dict[str, Any]
) -> None:
    assert await client.post("/put", body) == Answer(200, note)


async def test_very_many_messages_in_a_body_are_sent(client: Client) -> None:
    lines = b"{}\n" * 20_000
    sent = await client.post("/send", lines, kind="application/x-ndjson")
    assert sent == Answer(200, {"number": "20000"})


async def test_a_large_body_is_read_beside_the_event_loop(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcoding, "to_messages", beside_the_loop(to_messages))
    large = b'{"name":"%b"}' % (b"a" * 100_000)
    assert await client.post("/put", large) == Answer(200, {"name": "a" * 100_000})
