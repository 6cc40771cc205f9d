"""The routes that rules make, and the rules that make none."""

from __future__ import annotations

import pytest

from bridge.transcoding.path_table import PathTable
from bridge.transcoding.routes import Route, RouteError, of_methods
from bridge.transcoding.schema import build, read
from tests.transcoding.conftest import Compile

MESSAGES = """
package p;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
message Book {
  string name = 1;
  Author author = 2;
  repeated string tags = 3;
  map<string, string> notes = 4;
  google.protobuf.Timestamp printed = 5;
}
message Author { string name = 1; }
"""


def routes(compile_protos: Compile, *rules: str, more: str = "") -> PathTable[Route]:
    """Return the routes of ``p.S``, whose methods ``M0``, ``M1``, ... have the rules."""
    methods = "".join(
        f"rpc M{number}(Book) returns (Book) {{ option (google.api.http) = {{ {rule} }}; }}\n"
        for number, rule in enumerate(rules)
    )
    path = compile_protos(p=f"{MESSAGES}\nservice S {{ {methods} {more} }}")
    return of_methods(build(read([path])).services["p.S"])


def found(table: PathTable[Route], method: str, path: str) -> Route:
    match = table.match(method, path)
    assert match is not None
    return match.route


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH"])
def test_a_rule_is_for_its_http_method(compile_protos: Compile, method: str) -> None:
    table = routes(compile_protos, f'{method.lower()}: "/v1/{{name}}"')
    assert str(found(table, method, "/v1/a")) == f"{method} /v1/{{name}}"
    assert table.methods("/v1/a") == {method}


def test_a_rule_can_be_for_any_http_method(compile_protos: Compile) -> None:
    table = routes(
        compile_protos,
        'custom: { kind: "report" path: "/v1/books" }',
        'custom: { kind: "*" path: "/v1/any" }',
    )
    assert table.methods("/v1/books") == {"REPORT"}
    assert table.methods("/v1/any") == {"*"}
    assert found(table, "PURGE", "/v1/any").rpc.name == "M1"


def test_more_bindings_are_routes_of_the_same_method(compile_protos: Compile) -> None:
    table = routes(
        compile_protos,
        'put: "/v1/{name}" body: "author" response_body: "tags" '
        'additional_bindings { post: "/v1/books" body: "*" } '
        'additional_bindings { get: "/v1/{author.name}/first" }',
    )
    put, posted, got = (
        found(table, *asked)
        for asked in (("PUT", "/v1/a"), ("POST", "/v1/books"), ("GET", "/v1/a/first"))
    )
    assert {route.rpc.name for route in (put, posted, got)} == {"M0"}
    assert [(route.body, route.response_body) for route in (put, posted, got)] == [
        ("author", "tags"),
        ("*", ""),
        ("", ""),
    ]


def test_a_method_without_a_rule_has_its_name(compile_protos: Compile) -> None:
    table = routes(
        compile_protos,
        more="rpc Change(Book) returns (Book);"
        "rpc Look(Book) returns (stream Book) { option idempotency_level = NO_SIDE_EFFECTS; }"
        "rpc Again(Book) returns (Book) { option idempotency_level = IDEMPOTENT; }"
        "rpc Send(stream Book) returns (Book) { option idempotency_level = NO_SIDE_EFFECTS; }",
    )
    assert {
        name: table.methods(f"/p.S/{name}") for name in ("Change", "Look", "Again", "Send")
    } == {
        "Change": {"POST"},
        "Look": {"GET", "POST"},
        "Again": {"POST"},
        "Send": {"POST"},
    }
    assert found(table, "POST", "/p.S/Look").body == "*"
    assert found(table, "GET", "/p.S/Look").body == ""


def test_a_path_can_set_what_json_writes_as_a_text(compile_protos: Compile) -> None:
    assert routes(compile_protos, 'get: "/v1/{printed}"').match("GET", "/v1/now") is not None


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("", "its rule has no pattern, such as get or post"),
        ('get: "v1"', "'v1', at character 1: '/' is missing"),
        ('get: "/v1/{title}"', "p.Book has no field title"),
        ('get: "/v1/{author.title}"', "p.Author has no field title"),
        ('get: "/v1/{name.x}"', "p.Book.name is no message, so nothing is in it"),
        ('get: "/v1/{notes.x}"', "p.Book.notes is no message, so nothing is in it"),
        ('get: "/v1/{tags}"', "p.Book.tags can't be set by a path: it is no single value"),
        ('get: "/v1/{author}"', "p.Book.author can't be set by a path: it is no single value"),
        ('get: "/v1" body: "*"', "GET /v1 can't have a body"),
        ('put: "/v1" body: "title"', "p.Book has no field title"),
        ('put: "/v1/{name}" body: "name"', "name is set by the path and by the body"),
        ('get: "/v1" response_body: "title"', "p.Book has no field title"),
        (
            'get: "/v1" additional_bindings { get: "/v2" additional_bindings { get: "/v3" } }',
            "an additional binding can't have more of them",
        ),
        (
            'get: "/v1/{name}" additional_bindings { get: "/v1/*" }',
            "GET /v1/* matches what /v1/{name} matches, a route of p.S.M1",
        ),
    ],
)
def test_a_wrong_rule_is_refused_with_the_method(
    compile_protos: Compile, rule: str, problem: str
) -> None:
    with pytest.raises(RouteError) as caught:
        routes(compile_protos, 'get: "/right"', rule)
    assert str(caught.value) == f"p.S.M1: {problem}"


def test_all_problems_are_told_together(compile_protos: Compile) -> None:
    with pytest.raises(RouteError) as caught:
        routes(compile_protos, 'get: "/a"', 'get: "/a"', 'get: "b"')
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["p.S.M1", "p.S.M2"]
