"""Odd things, each alone in a request that is right otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from bridge.transcoding.formats import StreamFormat
from tests.transcoding.envoy.asked import Asked
from tests.transcoding.envoy.paths import PATHS, TYPED_PATHS
from tests.transcoding.envoy.values import (
    IN_JSON,
    IN_URL,
    MEMBERS,
    NO_MEMBERS,
    NO_PARAMETERS,
    PARAMETERS,
)

ODD_QUERIES = (
    *("text", "text=a&", "&text=a", "text=a&&i32=1", "text=a=b", "text=%FF", "text=%", "text=%zz"),
    *("text=a;i32=1", "=a", "=", "&", "te%78t=a", "inner%2Etext=a", "text=a?b", "text=%00"),
    *("texts=a,b", "text=%C3%28", "text=a%2", "text=[1]", 'text="a"', "text=a+b%2B", "i32=1&text"),
    *("left=a&right=1", "right=1&left=a", "wrapped_text=a&wrappedText=b"),
    "inner.left=a&inner.right=2",
    *("text=a%26b%3Dc", "inner.text=a&inner.i32=1&inner.inner.text=b", "text={}", "odd%2Dname=a"),
    *("texts=a&texts=b", "numbers=1&numbers=2&numbers=x", "i32=1&i32=1", "i32=1&i32=2"),
    "flag=true&flag=false",
    *("inner.i32=1&inner.i32=2", "text=%ED%A0%80", "text=+", "text=%2b", "texts=", "text=a%"),
)
ODD_MEMBERS = (
    *('"left":"a","right":1', '"right":1,"left":"a"', '"left":null,"right":1'),
    '"left":"","right":0',
    *(
        '"wrapped_text":"a","wrappedText":"b"',
        '"text":"a","text":"b"',
        '"texts":["a"],"texts":["b"]',
    ),
    *('"inner":{"text":"a"},"inner":{"i32":1}', '"te\\u0078t":"a"', '"inner":null', '"inner":[]'),
    '"inner":"a"',
    *('"inner":[{}]', '"inner":1', '"counts":{"a":1},"counts":{"b":2}', '"text":"a" "i32":1'),
    *('"text"', "1:2"),
    *('"text":"a",', ',"text":"a"', '"text":"a",,"i32":1', '"text":null,"text":"a"'),
    '"unknown":{"a":[1,{}]}',
    *('"at":"now","at":"2020-01-01T00:00:00Z"',),
)
ODD_BODIES = (
    *("", "[", "{", "}", "{}}", "{} {}", "null", "[]", '"a"', "1", "true", "[{}]", '{"text":"a",}'),
    "{,}",
    *("\ufeff{}", " {} ", '{"text" "a"}', "{text:1}", "/**/{}", '{"text":"a"', "{}\n", "\x00"),
    "{'text':'a'}",
    *(
        '{"inner":' * 20 + "{}" + "}" * 20,
        '{"inner":' * 120 + "{}" + "}" * 120,
        "{}x",
        "{}\x00",
        "\n",
    ),
    *(
        '{"value":' + "[" * 40 + "]" * 40 + "}",
        '{"value":' + "[" * 200 + "]" * 200 + "}",
        "[{},]",
        "[null]",
    ),
    *("[{}] ", "[1]", "[[]]", "{}{}", "{}\n{}\n", '[{"text":"a"},{"text":"b"}]', "[{}", "[{} {}]"),
    "\u2028{}",
)
ODD_CONTENT_TYPES = (
    *("application/json; charset=utf-8", "text/plain", "", "application/x-www-form-urlencoded"),
    *("application/vnd.api+json", "APPLICATION/JSON", "application/grpc", "application/grpc+proto"),
    *("application/x-ndjson", "application/grpc-web", "image/png"),
)
ODD_SEGMENTS = (
    *("", "%FF", "%C3%28", "%", "%4", "%zz", "a%00", "%2e%2e", "a\\b", "|", "%ED%A0%80", "..", "."),
    *("a:b", ":a", "a:", "%3A", "a%2Fb", "a;b=c", "a%2fb", "%252F", "a=b", "a+b", "a%20b", "%3F"),
    *("%23", "a,b"),
    *("%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A%40%5B%5D", 'a"b', "{a}", "a%0Ab", "%5C"),
)
ODD_PATHS = (
    *("/v1/all/", "//v1/all", "/v1//all", "/V1/all", "/v1/all:x", "/v1/all:", "/v1/%61ll"),
    "/v1/all;a=b",
    *("/v1/./all", "/v1/one/a/../b", "/v1/one/a:b:cancel", "/v1/one/:cancel", "/v1/one/a%3Acancel"),
    *("/v1/one/a:%63ancel", "/v1/one/", "/v1/one/a/", "/v1/one//of/a", "/v1/nothing", "/v1"),
    *("/v1/one/mine/", "/v1/one/m%69ne", "/v1/files/", "/v1/files//", "/v1/files/a/"),
    "/v1/files//a",
    *("/v1/files/a//b", "/v1/files:archive", "/v1/files/:archive", "/v1/files/a:b:archive"),
    "/v1/one/a?",
    *("/v1/files/a/b:other", "/v1/shelves//books/a", "/v1/shelves/a/books/"),
    "/v1/shelves/a%2Fb/books/c",
    *("/v1/any/a/b/", "/v1/any/a/b", "/v1/any/a", "/echo.v1.Echo/One", "/echo.v1.Echo/Nothing"),
    *("/echo.v1.echo/Plain", "/v1/shelves/a/books/b:c", "/v1/one/a%3Fb", "/v1/files/a%2Fb/c%2fd"),
    *("/v1/files/a%252Fb", "/v1/one/mine:cancel", "/v1/one/a:cancel/", "/v1/files/a%21%40/b"),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "REPORT")

_RIGHT = {
    "int32": "1",
    "uint64": "1",
    "double": "1",
    "bool": "true",
    "enum": "SOME",
    "bytes": "AQ",
    "time": "2020-01-01T00:00:00Z",
    "duration": "1s",
    "int64": "1",
}


def each_alone() -> Iterator[Asked]:
    """Yield all of them."""
    yield from _in_queries()
    yield from _in_typed_paths()
    yield from _in_paths()
    yield from _in_bodies()
    yield from _of_each_route()
    yield from _that_fail()


def _in_queries() -> Iterator[Asked]:
    for name, kind in PARAMETERS.items():
        for value in IN_URL[kind].odd:
            yield Asked("GET", f"/v1/all?{name}={quote(value, safe='')}")
    for query in (*ODD_QUERIES, *(f"{name}={value}" for name in NO_PARAMETERS for value in "1a")):
        yield Asked("GET", f"/v1/all?{query}")


def _in_typed_paths() -> Iterator[Asked]:
    for template, kinds in TYPED_PATHS:
        right = [_RIGHT[kind] for kind in kinds]
        for place, kind in enumerate(kinds):
            for value in IN_URL[kind].odd:
                values = [*right[:place], quote(value, safe=""), *right[place + 1 :]]
                yield Asked("GET", template.format(*values))


def _in_paths() -> Iterator[Asked]:
    for path in ODD_PATHS:
        yield Asked("GET", path)
        yield Asked("POST", path, "{}")
    for method, template, body in PATHS:
        for segment in ODD_SEGMENTS if "{}" in template else ():
            yield Asked(method, template.format(*[segment] * 4), "{}" if body else None)


def _in_bodies() -> Iterator[Asked]:
    members = [f'"{name}":{value}' for name, kind in MEMBERS.items() for value in IN_JSON[kind].odd]
    members += [f'"{name}":{value}' for name in NO_MEMBERS for value in ("1", '"a"', "{}")]
    for member in (*members, *ODD_MEMBERS):
        yield Asked("POST", "/v1/all", f"{{{member}}}")
    for member in ODD_MEMBERS:
        yield Asked("POST", "/v1/one/a", f"{{{member}}}")


def _of_each_route() -> Iterator[Asked]:
    for method, template, body in PATHS:
        path = template.format(*"aaaa")
        for content in (*ODD_BODIES, *IN_JSON["texts"].odd):
            yield Asked(method, path, content)
        for content_type in ODD_CONTENT_TYPES:
            yield Asked(method, path, "[]" if body in ("texts", "stream") else "{}", content_type)
        for other in METHODS:
            yield Asked(other, path)


def _that_fail() -> Iterator[Asked]:
    for status in range(18):
        yield Asked("GET", f"/v1/all?fail={status}")
        for count in range(3):
            for form in StreamFormat:
                yield Asked("GET", f"/v1/many?count={count}&fail={status}", form=form)
