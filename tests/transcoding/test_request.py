"""Where the fields of an RPC's request come from."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from google.protobuf.json_format import MessageToDict

from bridge.transcoding.content import to_messages
from bridge.transcoding.json.reader import JsonReader
from bridge.transcoding.request_error import RequestError
from bridge.transcoding.routes import of_methods
from bridge.transcoding.schema import Schema
from tests.transcoding.backend import schema_of
from tests.transcoding.conftest import Compile

PROTO = """
package p;
import "google/api/annotations.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Kind { KIND_UNSPECIFIED = 0; NOVEL = 1; POEM = 2; }
message Author { string full_name = 1; int32 born = 2; Author teacher = 3; }
message Book {
  string name = 1;
  Author author = 2;
  repeated string tags = 3;
  Kind kind = 4;
  repeated Kind kinds = 5;
  bool lent = 6;
  int64 pages = 7;
  double price = 8;
  bytes cover = 9;
  google.protobuf.Timestamp printed = 10;
  google.protobuf.Duration lasts = 11;
  google.protobuf.FieldMask mask = 12;
  google.protobuf.BoolValue maybe = 13;
  google.protobuf.Int64Value count = 14;
  google.protobuf.Struct notes = 15;
  map<string, string> labels = 16;
  string display_name = 17;
  oneof place { string shelf = 18; string box = 19; }
}
service S {
  rpc Get(Book) returns (Book) { option (google.api.http) = { get: "/get/{name}" }; }
  rpc Deep(Book) returns (Book) { option (google.api.http) = { get: "/deep/{author.full_name}" }; }
  rpc Rest(Book) returns (Book) { option (google.api.http) = { get: "/rest/{name=**}" }; }
  rpc Put(Book) returns (Book) { option (google.api.http) = { put: "/put/{name}" body: "*" }; }
  rpc Set(Book) returns (Book) { option (google.api.http) = { put: "/set/{name}" body: "author" }; }
  rpc Tag(Book) returns (Book) { option (google.api.http) = { put: "/tag/{name}" body: "tags" }; }
}
"""

INT32 = "an integer from -2147483648 to 2147483647"
INT64 = "an integer from -9223372036854775808 to 9223372036854775807"


@pytest.fixture
def schema(compile_protos: Compile) -> Schema:
    return schema_of(compile_protos(p=PROTO))


def asked(schema: Schema, method: str, url: str, body: bytes = b"", **options: Any) -> Any:
    """Return the message of a request as JSON, with the names of the proto."""
    path, _, query = url.partition("?")
    found = of_methods(schema.services["p.S"]).match(method, path)
    assert found is not None
    reader = JsonReader(schema.pool, **options)
    (message,) = to_messages(found.route, reader, found.values, query, body, "application/json")
    return MessageToDict(message, preserving_proto_field_name=True)


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", {}),
        ("tags=a&tags=b", {"tags": ["a", "b"]}),
        ("tags=a%26b+c%2B", {"tags": ["a&b c+"]}),
        ("display_name=a", {"display_name": "a"}),
        ("displayName=a", {"display_name": "a"}),
        ("author.full_name=a&author.born=-5", {"author": {"full_name": "a", "born": -5}}),
        ("author.fullName=a", {"author": {"full_name": "a"}}),
        ("author.teacher.teacher.born=1", {"author": {"teacher": {"teacher": {"born": 1}}}}),
        ("kind=NOVEL", {"kind": "NOVEL"}),
        ("kind=2", {"kind": "POEM"}),
        ("kinds=NOVEL&kinds=2", {"kinds": ["NOVEL", "POEM"]}),
        ("lent=true", {"lent": True}),
        ("lent=false", {}),
        ("pages=9007199254740993", {"pages": "9007199254740993"}),
        ("price=-1.5e3", {"price": -1500.0}),
        ("price=NaN", {"price": "NaN"}),
        ("price=%2B.5", {"price": 0.5}),
        ("price=-.5e1", {"price": -5.0}),
        ("price=5.", {"price": 5.0}),
        ("price=5.e1", {"price": 50.0}),
        ("pages=%2B7", {"pages": "7"}),
        ("count=%2B7", {"count": "7"}),
        ("kind=%2B2", {"kind": "POEM"}),
        ("display_name=%2B7", {"display_name": "+7"}),
        ("cover=aGk=", {"cover": "aGk="}),
        ("cover=_-8", {"cover": "/+8="}),
        ("printed=2026-01-02T03:04:05Z", {"printed": "2026-01-02T03:04:05Z"}),
        ("lasts=1.5s", {"lasts": "1.500s"}),
        ("mask=displayName,tags", {"mask": "displayName,tags"}),
        ("mask=display_name,author.full_name", {"mask": "displayName,author.fullName"}),
        ("maybe=false", {"maybe": False}),
        ("count=7", {"count": "7"}),
        ("shelf=a", {"shelf": "a"}),
        ("tags=", {"tags": [""]}),
        ("tags=%F0%9F%98%80", {"tags": ["\U0001f600"]}),
    ],
)
def test_a_query_sets_fields(schema: Schema, query: str, fields: dict[str, Any]) -> None:
    assert asked(schema, "GET", f"/get/n?{query}") == {"name": "n", **fields}


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("title=a", "title: there is no such field"),
        ("author.title=a", "author.title: there is no such field"),
        ("name.x=a", "name.x: there is no such field"),
        ("tags.x=a", "tags.x: there is no such field"),
        ("printed.seconds=5", "printed.seconds: there is no such field"),
        ("lasts=1s&lasts.seconds=5", "lasts.seconds: there is no such field"),
        ("notes.fields=a", "notes.fields: there is no such field"),
        ("author=a", "author: it is a message: name a field of it"),
        ("notes=a", "notes: it is a message: name a field of it"),
        ("labels=a", "labels: it is a message: name a field of it"),
        ("lent=yes", 'lent: it has to be true or false, not "yes"'),
        ("maybe=yes", 'maybe: it has to be true or false, not "yes"'),
        ("display_name=a&displayName=b", "display_name: it is set twice"),
        ("pages=1&pages=2", "pages: it is set twice"),
        ("tags=%ff", "The query isn't UTF-8."),
    ],
)
def test_a_query_that_sets_nothing_is_refused(schema: Schema, query: str, problem: str) -> None:
    with pytest.raises(RequestError) as caught:
        asked(schema, "GET", f"/get/n?{query}")
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("query", "field", "wanted"),
    [
        ("pages=many", "pages", INT64),
        ("pages=1.5", "pages", INT64),
        ("author.born=2147483648", "author.born", INT32),
        ("price=cheap", "price", "a number of 64 bits"),
        ("price=.", "price", "a number of 64 bits"),
        ("price=%2B-1", "price", "a number of 64 bits"),
        ("pages=5.", "pages", INT64),
        ("pages=.5", "pages", INT64),
        ("kind=SONG", "kind", "a value of p.Kind"),
        ("kinds=NOVEL&kinds=SONG", "kinds[1]", "a value of p.Kind"),
        ("cover=%21", "cover", "a string in base64"),
        ("printed=yesterday", "printed", 'a time such as "2026-01-02T03:04:05Z"'),
        ("lasts=long", "lasts", 'a duration such as "1.5s"'),
        ("mask=a_1", "mask", 'fields in lowerCamelCase such as "name,fullName"'),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_field(
    schema: Schema, query: str, field: str, wanted: str
) -> None:
    with pytest.raises(RequestError) as caught:
        asked(schema, "GET", f"/get/n?{query}")
    given = unquote(query).rpartition("=")[2]
    assert str(caught.value) == f'{field}: it has to be {wanted}, not "{given}"'


def test_a_query_that_sets_two_of_a_oneof_is_refused(schema: Schema) -> None:
    with pytest.raises(RequestError, match=r"^box: it can't be there together with shelf$"):
        asked(schema, "GET", "/get/n?shelf=a&box=b")


def test_a_query_and_a_body_that_set_two_of_a_oneof_are_refused(schema: Schema) -> None:
    with pytest.raises(RequestError, match=r"^box: it can't be there together with shelf$"):
        asked(schema, "PUT", "/put/n?box=b", b'{"shelf":"a"}')


@pytest.mark.parametrize(
    ("method", "url", "body", "fields"),
    [
        ("PUT", "/put/n", b'{"tags":["a"]}', {"name": "n", "tags": ["a"]}),
        ("PUT", "/put/n", b'{"displayName":"a"}', {"name": "n", "display_name": "a"}),
        ("PUT", "/put/n", b'{"display_name":"a"}', {"name": "n", "display_name": "a"}),
        ("PUT", "/put/n", b'{"name":"other"}', {"name": "n"}),
        ("PUT", "/put/n", b"", {"name": "n"}),
        ("PUT", "/put/n?lent=true", b'{"tags":["a"]}', {"name": "n", "tags": ["a"], "lent": True}),
        ("PUT", "/set/n", b'{"born":5}', {"name": "n", "author": {"born": 5}}),
        ("PUT", "/set/n?lent=true", b"{}", {"name": "n", "author": {}, "lent": True}),
        ("PUT", "/tag/n", b'["a","b"]', {"name": "n", "tags": ["a", "b"]}),
        ("PUT", "/put/n", b'{"notes":{"a":[1,null]}}', {"name": "n", "notes": {"a": [1, None]}}),
        ("GET", "/deep/a%20b?author.born=5", b"", {"author": {"full_name": "a b", "born": 5}}),
        ("GET", "/rest/a/b?name=c", b"", {"name": "a/b"}),
        ("GET", "/rest?name=c", b"", {}),
        (
            "PUT",
            "/put/n?display_name=a",
            b'{"displayName":"b"}',
            {"name": "n", "display_name": "b"},
        ),
        (
            "PUT",
            "/put/n?displayName=a",
            b'{"display_name":null}',
            {"name": "n", "display_name": "a"},
        ),
        ("PUT", "/put/n?lent=true", b'{"lent":false}', {"name": "n"}),
        ("PUT", "/put/n?tags=a", b'{"tags":["b"]}', {"name": "n", "tags": ["b", "a"]}),
        ("PUT", "/put/n?shelf=a", b'{"shelf":"b"}', {"name": "n", "shelf": "b"}),
        ("PUT", "/set/n?author.born=5", b'{"born":6}', {"name": "n", "author": {"born": 6}}),
        (
            "PUT",
            "/set/n?author.full_name=a&author.teacher.born=5",
            b'{"born":6}',
            {"name": "n", "author": {"full_name": "a", "born": 6, "teacher": {"born": 5}}},
        ),
    ],
)
def test_the_path_comes_before_the_body_and_the_body_before_the_query(
    schema: Schema, method: str, url: str, body: bytes, fields: dict[str, Any]
) -> None:
    assert asked(schema, method, url, body) == fields


@pytest.mark.parametrize(
    ("url", "body", "problem"),
    [
        ("/put/n", b"[", "The body is no JSON: Expecting value at line 1, column 2"),
        ("/put/n", b"\xff", "The body is no JSON: it isn't UTF-8"),
        ("/put/n", b"[" * 100_000, "The body is no JSON: it is nested too deep"),
        ("/put/n", b"[1]", "The body is no message: it has to be an object, not a list"),
        ("/put/n", b'"a"', 'The body is no message: it has to be an object, not "a"'),
        ("/put/n", b'{"tags":[],"tags":[]}', "tags: it is there twice"),
        ("/put/n", b'{"title":1}', "title: there is no such field"),
        ("/put/n", b'{"author":{"teacher":{"x":1}}}', "author.teacher.x: there is no such field"),
        ("/put/n", b'{"author":{"born":1.5}}', f"author.born: it has to be {INT32}, not 1.5"),
        ("/put/n", b'{"name":5}', "name: it has to be a string, not 5"),
        ("/put/n", b'{"tags":"a"}', 'tags: it has to be a list, not "a"'),
        ("/set/n", b'{"title":1}', "author.title: there is no such field"),
        ("/set/n", b"[1]", "author: it has to be an object, not a list"),
    ],
)
def test_a_body_of_another_type_is_refused_with_its_field(
    schema: Schema, url: str, body: bytes, problem: str
) -> None:
    with pytest.raises(RequestError) as caught:
        asked(schema, "PUT", url, body)
    assert str(caught.value) == problem


def test_a_body_where_none_is_taken_is_refused(schema: Schema) -> None:
    with pytest.raises(RequestError, match=r"^GET /get/\{name\} takes no body$"):
        asked(schema, "GET", "/get/n", b"{}")


def test_unknown_fields_can_be_ignored(schema: Schema) -> None:
    url = "/put/n?title=a&author.title=b&title.x=c"
    body = b'{"title":1,"author":{"title":2,"born":3}}'
    found = asked(schema, "PUT", url, body, ignore_unknown=True)
    assert found == {"name": "n", "author": {"born": 3}}


def test_a_message_in_itself_too_often_is_refused(schema: Schema) -> None:
    deep = b'{"author":' + b'{"teacher":' * 500 + b"{}" + b"}" * 501
    with pytest.raises(RequestError, match=r"it is nested too deep$"):
        asked(schema, "PUT", "/put/n", deep)
    with pytest.raises(RequestError, match=r"it is nested too deep$"):
        asked(schema, "GET", f"/get/n?author.{'teacher.' * 500}born=1")
