"""Routes as OpenAPI: a valid document, which says what the bridge takes and answers."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, OpenAPIV32SpecValidator

from bridge.transcoding.json.reader import JsonReader
from bridge.transcoding.json.writer import JsonOptions
from bridge.transcoding.openapi.document import describe
from bridge.transcoding.path_table import PathTable
from bridge.transcoding.path_template import parse
from bridge.transcoding.request import to_message
from bridge.transcoding.routes import Route, of_methods
from bridge.transcoding.schema import Schema
from tests.transcoding.backend import schema_of
from tests.transcoding.conftest import Compile

LIBRARY = """
package library.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/httpbody.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

// Books on shelves.
service Library {
  // Gets a book. Fails if
  // there is none.
  rpc Get(Query) returns (Book) {
    option (google.api.http) = {
      get: "/v1/{name=shelves/*/books/*}"
      additional_bindings { get: "/v1/books/{name}" }
      additional_bindings { get: "/v1/{author.full_name=authors/**}:first" }
    };
  }
  rpc Delete(Query) returns (google.protobuf.Empty) {
    option deprecated = true;
    option (google.api.http) = { delete: "/v1/books/{title}" };
  }
  rpc Create(Creation) returns (Book) {
    option (google.api.http) = { post: "/v1/{parent=shelves/*}/books" body: "book" };
  }
  rpc Replace(Book) returns (Book) {
    option (google.api.http) = {
      put: "/v1/{name=shelves/*/books/*}" body: "*" response_body: "tags"
    };
  }
  rpc Watch(Book) returns (stream Book) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Counts(Book) returns (stream Book) {
    option (google.api.http) = { get: "/v1/pages" response_body: "pages" };
  }
  rpc Sequels(Book) returns (stream Book) {
    option (google.api.http) = { get: "/v1/sequels" response_body: "sequel" };
  }
  rpc Texts(Book) returns (stream google.protobuf.StringValue);
  rpc Import(stream Book) returns (google.protobuf.Empty);
  rpc Cover(Query) returns (google.api.HttpBody) {
    option (google.api.http) = { get: "/v1/covers/{name}" };
  }
  rpc Upload(Picture) returns (google.protobuf.Empty) {
    option (google.api.http) = { post: "/v1/covers" body: "body" };
  }
  rpc Report(Query) returns (Book) {
    option (google.api.http) = {
      custom: { kind: "report" path: "/v1/books/{name}" }
      additional_bindings { custom: { kind: "*" path: "/v1/any" } }
    };
  }
}
message Picture { string name = 1; google.api.HttpBody body = 2; }
message Creation {
  string parent = 1 [(google.api.field_behavior) = REQUIRED];
  Book book = 2 [(google.api.field_behavior) = REQUIRED];
  string request_id = 3;
}
enum Kind { KIND_UNSPECIFIED = 0; NOVEL = 1; }
message Query {
  // Its name.
  string name = 1 [(google.api.field_behavior) = REQUIRED];
  // Its title.
  string title = 2 [(google.api.field_behavior) = REQUIRED];
  Author author = 3;
  repeated Kind kinds = 4;
  google.protobuf.Timestamp printed_after = 5;
  repeated google.protobuf.Duration lasts = 6;
  google.protobuf.Int64Value pages = 7;
  bool lent = 8 [deprecated = true];
  bytes cover = 9;
  double price = 10;
  map<string, string> labels = 11;
  repeated Author editors = 12;
  google.protobuf.Struct notes = 13;
  google.protobuf.Value anything = 15;
  int32 found = 14 [(google.api.field_behavior) = OUTPUT_ONLY];
}
message Author {
  string full_name = 1 [(google.api.field_behavior) = REQUIRED];
  Author teacher = 2;
  Place born = 3;
}
message Place { string town = 1; Country country = 2; }
message Country { string name = 1; Continent continent = 2; }
message Continent { string name = 1; Planet planet = 2; }
message Planet { string name = 1; }
message Book {
  string name = 1;
  repeated string tags = 2;
  Book sequel = 3;
  optional int64 pages = 4;
  string display_name = 5;
}
"""


@pytest.fixture(scope="module")
def library(compile_protos: Compile) -> Schema:
    return schema_of(compile_protos(library=LIBRARY, comments=True))


@pytest.fixture(scope="module")
def googleapis(compile_protos: Compile) -> Schema:
    """Return the annotated services that googleapis-common-protos has."""
    names = ("google/longrunning/operations_proto", "google/cloud/location/locations")
    text = "\n".join(f'import "{name}.proto";' for name in names)
    return schema_of(compile_protos(google=text, comments=True))


def routes_of(schema: Schema) -> PathTable[Route]:
    return of_methods(itertools.chain.from_iterable(schema.services.values()))


def document(schema: Schema, options: JsonOptions | None = None) -> dict[str, Any]:
    found = describe(routes_of(schema), options or JsonOptions(), schema.comments)
    return {"openapi": "3.1.0", "info": {"title": "Test", "version": "1"}, **found}


def operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield all operations, each with its HTTP method and its path."""
    for path, item in found["paths"].items():
        for method, operation in (item | item.get("x-additionalOperations", {})).items():
            if method != "x-additionalOperations":
                yield method.upper(), path, operation


def named(found: dict[str, Any], operation_id: str) -> dict[str, Any]:
    (operation,) = (one for *_, one in operations(found) if one["operationId"] == operation_id)
    return operation


def parameters(operation: dict[str, Any], where: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in operation["parameters"] if one["in"] == where}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize("options", [JsonOptions(), JsonOptions(True, True, True)])
@pytest.mark.parametrize("name", ["library", "googleapis"])
def test_a_document_is_valid(
    request: pytest.FixtureRequest, name: str, options: JsonOptions
) -> None:
    OpenAPIV31SpecValidator(document(request.getfixturevalue(name), options)).validate()


def test_what_3_1_has_no_place_for_is_valid_in_3_2(library: Schema) -> None:
    text = json.dumps(document(library) | {"openapi": "3.2.0"})
    for name in ("itemSchema", "additionalOperations"):
        assert f'"x-{name}"' in text
        text = text.replace(f'"x-{name}"', f'"{name}"')
    OpenAPIV32SpecValidator(json.loads(text)).validate()


def test_a_document_can_be_merged_into_fastapi_s(library: Schema) -> None:
    merged = FastAPI().openapi()
    found = document(library)
    merged["paths"] |= found["paths"]
    merged.setdefault("components", {}).setdefault("schemas", {}).update(
        found["components"]["schemas"]
    )
    OpenAPIV31SpecValidator(merged).validate()


@pytest.mark.parametrize("name", ["library", "googleapis"])
def test_each_route_has_an_operation_that_leads_to_it(
    request: pytest.FixtureRequest, name: str
) -> None:
    table = routes_of(request.getfixturevalue(name))
    led = []
    for method, path, operation in operations(document(request.getfixturevalue(name))):
        assert re.findall("{(.+?)}", path) == list(parameters(operation, "path"))
        match = table.match(method, re.sub("{.+?}", "a", path))
        assert match is not None
        assert operation["operationId"].split("_")[1] == match.route.rpc.name
        led.append(match.route)
    assert sorted(map(str, led)) == sorted(map(str, table))


def test_an_operation_is_told_by_its_method_s_comment(library: Schema) -> None:
    found = document(library)
    get, delete = named(found, "Library_Get"), named(found, "Library_Delete")
    assert get["summary"] == "Gets a book"
    assert get["description"] == "Gets a book. Fails if\nthere is none."
    assert get["tags"] == ["library.v1.Library"]
    assert found["tags"] == [{"name": "library.v1.Library", "description": "Books on shelves."}]
    assert {"summary", "description"}.isdisjoint(delete)
    assert (delete.get("deprecated"), get.get("deprecated")) == (True, None)


def test_a_set_without_comments_has_no_descriptions_of_them(compile_protos: Compile) -> None:
    found = document(schema_of(compile_protos(library=LIBRARY)))
    assert found["tags"] == [{"name": "library.v1.Library"}]
    assert "summary" not in named(found, "Library_Get")


def test_each_operation_has_an_id_of_its_own(library: Schema) -> None:
    ids = [operation["operationId"] for *_, operation in operations(document(library))]
    assert sorted(ids) == [
        *("Library_Counts", "Library_Cover", "Library_Create", "Library_Delete", "Library_Get"),
        *("Library_Get_2", "Library_Get_3", "Library_Import", "Library_Replace"),
        *("Library_Report", "Library_Report_2", "Library_Sequels", "Library_Texts"),
        *("Library_Upload", "Library_Watch"),
        "Library_Watch_2",
    ]


def test_services_of_one_name_and_their_messages_are_told_apart(compile_protos: Compile) -> None:
    text = """package p.%s;
    message M { %s field = 1; }
    service S { rpc Do(M) returns (M); }"""
    path = compile_protos(one=text % ("v1", "string"), two=text % ("v2", "bool"))
    found = document(schema_of(path))
    OpenAPIV31SpecValidator(found).validate()
    assert named(found, "p_v1_S_Do")["tags"] == ["p.v1.S"]
    assert named(found, "p_v2_S_Do")["tags"] == ["p.v2.S"]
    fields = [
        found["components"]["schemas"][name]["properties"]["field"]["type"]
        for name in ("p.v1.M", "p.v2.M")
    ]
    assert fields == ["string", "boolean"]


def test_http_methods_that_openapi_lacks_stand_aside(library: Schema) -> None:
    paths = document(library)["paths"]
    beside = {
        path: list(item["x-additionalOperations"])
        for path, item in paths.items()
        if "x-additionalOperations" in item
    }
    assert beside == {"/v1/books/{name}": ["REPORT"], "/v1/any": ["*"]}
    assert set(paths["/v1/books/{name}"]) == {"get", "delete", "x-additionalOperations"}


def test_an_operation_names_its_rpc_and_what_streams(library: Schema) -> None:
    found = document(library)
    assert named(found, "Library_Get_2")["x-rpc"] == {
        "method": "library.v1.Library/Get",
        "clientStreaming": False,
        "serverStreaming": False,
    }
    streams = {
        name: [named(found, f"Library_{name}")["x-rpc"][f"{side}Streaming"] for side in SIDES]
        for name in ("Watch", "Import")
    }
    assert streams == {"Watch": [False, True], "Import": [True, False]}


SIDES = ("client", "server")


def test_a_parameter_of_several_segments_is_marked(library: Schema) -> None:
    marked = [
        one["name"]
        for *_, operation in operations(document(library))
        for one in operation["parameters"]
        if one.get("x-severalSegments")
    ]
    assert marked == ["authorsId"]


def test_a_path_s_parameters_are_told_by_the_field_that_they_set(library: Schema) -> None:
    found = document(library)
    assert parameters(named(found, "Library_Get"), "path")["booksId"] == {
        "name": "booksId",
        "in": "path",
        "required": True,
        "description": "Its name.\n\n`name` is `shelves/{shelvesId}/books/{booksId}`.",
        "schema": {"type": "string"},
    }
    assert parameters(named(found, "Library_Get_2"), "path")["name"]["description"] == "Its name."
    assert parameters(named(found, "Library_Get_3"), "path")["authorsId"]["description"] == (
        "`author.full_name` is `authors/{authorsId}`.\n\n"
        "It can be several segments, or none; the slashes between them are not percent-encoded."
    )
    assert parameters(named(found, "Library_Delete"), "path")["name"]["description"] == (
        "Its title.\n\n`title` is `{name}`."
    )


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        ("int32 f = 1", {"type": "integer", "format": "int32"}),
        ("Kind f = 1", ref("p.Kind")),
        ("google.protobuf.Timestamp f = 1", {"type": "string", "format": "date-time"}),
        ("google.protobuf.BoolValue f = 1", {"type": "boolean"}),
    ],
)
def test_a_path_s_parameter_has_the_type_of_its_field(
    compile_protos: Compile, field: str, schema: dict[str, Any]
) -> None:
    text = f"""package p;
    import "google/api/annotations.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";
    enum Kind {{ ZERO = 0; }}
    message M {{ {field}; }}
    service S {{
      rpc Do(M) returns (M) {{ option (google.api.http) = {{ get: "/v1/{{f}}" }}; }}
    }}"""
    found = document(schema_of(compile_protos(p=text)))
    assert parameters(named(found, "S_Do"), "path")["f"]["schema"] == schema


def test_a_query_has_what_it_can_set_and_the_path_doesn_t(library: Schema) -> None:
    found = document(library)
    always = {
        *("title", "kinds", "printedAfter", "lasts", "pages", "lent", "cover", "price"),
        *("author.born.town", "author.born.country.name"),
    }
    assert set(parameters(named(found, "Library_Get"), "query")) == always | {"author.fullName"}
    assert set(parameters(named(found, "Library_Get_3"), "query")) == always | {"name"}
    assert set(parameters(named(found, "Library_Create"), "query")) == {"requestId"}
    assert parameters(named(found, "Library_Replace"), "query") == {}


def test_a_query_s_parameters_are_told(library: Schema) -> None:
    query = parameters(named(document(library), "Library_Get"), "query")
    title, kinds, pages, lent = (query[name] for name in ("title", "kinds", "pages", "lent"))
    assert title == {
        "name": "title",
        "in": "query",
        "description": "Its title.",
        "required": True,
        "schema": {"type": "string"},
    }
    assert kinds["explode"] is True
    assert kinds["schema"] == {"type": "array", "items": ref("library.v1.Kind")}
    assert [name for name, one in query.items() if "required" in one] == ["title"]
    assert pages["schema"]["type"] == "string"
    assert lent["deprecated"] is True


VALUES = {
    "kinds": "NOVEL",
    "lasts": "1.5s",
    "printedAfter": "2024-01-01T00:00:00Z",
    "pages": "7",
    "lent": "true",
    "cover": "YQ==",
    "price": "NaN",
}


@pytest.mark.parametrize("proto_names", [False, True])
def test_each_parameter_of_a_query_is_taken(library: Schema, proto_names: bool) -> None:
    (route,) = (one for one in routes_of(library) if str(one) == "GET /v1/books/{name}")
    found = document(library, JsonOptions(proto_names=proto_names))
    query = parameters(named(found, "Library_Get_2"), "query")
    assert ("author.born.town" in query, "printed_after" in query) == (True, proto_names)
    for name in query:
        value = VALUES.get(name.replace("_a", "A"), "a")
        message = to_message(route, JsonReader(library.pool), {}, f"{name}={value}", {})
        assert len(message.ListFields()) == 1


def test_a_message_that_has_itself_in_many_fields_is_no_burden(compile_protos: Compile) -> None:
    fields = "\n".join(f"M m{number} = {number};" for number in range(1, 200))
    text = f"""package p;
    message M {{ {fields} string name = 200; }}
    service S {{ rpc Do(M) returns (M) {{ option idempotency_level = NO_SIDE_EFFECTS; }} }}"""
    found = document(schema_of(compile_protos(p=text)))
    assert set(parameters(named(found, "S_Do_2"), "query")) == {"name"}


def test_a_body_is_what_the_path_leaves(library: Schema) -> None:
    found = document(library)
    create, replace = (named(found, f"Library_{name}") for name in ("Create", "Replace"))
    assert create["requestBody"] == {
        "content": {"application/json": {"schema": ref("library.v1.Book")}},
        "required": True,
    }
    body = replace["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {"tags", "sequel", "pages", "displayName"}
    assert replace["requestBody"]["required"] is False
    whole = named(found, "Library_Watch")["requestBody"]["content"]["application/json"]
    assert whole["schema"] == ref("library.v1.Book")
    assert "requestBody" not in named(found, "Library_Get")


def test_a_body_lacks_what_the_path_sets_inside_it(library: Schema) -> None:
    (create,) = (rpc for rpc in library.services["library.v1.Library"] if rpc.name == "Create")
    route = Route("PATCH", parse("/v1/{book.name=books/*}"), create, body="book")
    operation = named(describe([route], JsonOptions(), {}), "Library_Create")
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {"tags", "sequel", "pages", "displayName"}
    assert set(parameters(operation, "query")) == {"parent", "requestId"}


def test_a_body_must_be_there_if_a_field_of_it_must(compile_protos: Compile) -> None:
    text = """package p;
    import "google/api/annotations.proto";
    import "google/api/field_behavior.proto";
    message M {
      string a = 1 [(google.api.field_behavior) = REQUIRED];
      string b = 2 [(google.api.field_behavior) = REQUIRED];
    }
    service S {
      rpc One(M) returns (M) { option (google.api.http) = { put: "/{a}" body: "*" }; }
      rpc Two(M) returns (M) { option (google.api.http) = { put: "/{a}/{b}" body: "*" }; }
    }"""
    found = document(schema_of(compile_protos(p=text)))
    one, two = (named(found, f"S_{name}")["requestBody"] for name in ("One", "Two"))
    assert one["required"] is True
    assert one["content"]["application/json"]["schema"]["required"] == ["b"]
    assert two["required"] is False


def test_an_answer_is_the_message_or_the_field_of_it(library: Schema) -> None:
    found = document(library)
    get, replace, delete = (
        named(found, f"Library_{name}")["responses"] for name in ("Get", "Replace", "Delete")
    )
    assert get["200"]["content"] == {"application/json": {"schema": ref("library.v1.Book")}}
    assert replace["200"]["content"]["application/json"]["schema"] == {
        "type": "array",
        "items": {"type": "string"},
    }
    assert delete["200"]["content"]["application/json"]["schema"] == {"type": "object"}
    assert {json.dumps(one["default"]["content"]) for one in (get, replace, delete)} == {
        json.dumps({"application/json": {"schema": ref("google.rpc.Status")}})
    }
    status = found["components"]["schemas"]["google.rpc.Status"]
    assert set(status["properties"]) == {"code", "message", "details"}


def test_an_http_body_is_of_any_type(library: Schema) -> None:
    found = document(library)
    assert named(found, "Library_Cover")["responses"]["200"]["content"] == {"*/*": {}}
    assert named(found, "Library_Upload")["requestBody"]["content"] == {"*/*": {}}
    assert "google.api.HttpBody" not in found["components"]["schemas"]
    assert set(parameters(named(found, "Library_Upload"), "query")) == {"name"}


def test_a_stream_that_is_sent_has_a_message_a_line(library: Schema) -> None:
    content = named(document(library), "Library_Import")["requestBody"]["content"]
    assert set(content) == {"application/x-ndjson"}
    assert content["application/x-ndjson"]["x-itemSchema"] == ref("library.v1.Book")


def validator(found: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": found["components"]})


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("proto_names", [False, True])
@pytest.mark.parametrize("name", ["Watch", "Counts", "Sequels", "Texts"])
def test_a_stream_s_examples_are_of_its_schemas(
    library: Schema, name: str, proto_names: bool, failed: bool
) -> None:
    found = document(library, JsonOptions(proto_names=proto_names))
    content = named(found, f"Library_{name}")["responses"]["200"]["content"]
    assert list(content) == ["text/event-stream", "application/x-ndjson", "application/json"]
    of_events, of_lines, of_array = content.values()
    events, lines = (
        one["examples"]["failed" if failed else "finished"]["value"]
        for one in (of_events, of_lines)
    )
    values = [json.loads(line) for line in lines.splitlines()]
    assert [is_error(value) for value in values] == [False, failed]
    assert ("display_name" in values[0]) == (proto_names and name in ("Watch", "Sequels"))
    validator(found, of_array["schema"]).validate(values)
    for value in values:
        validator(found, of_lines["x-itemSchema"]).validate(value)
    frames = [{"data": line} for line in lines.splitlines()]
    if failed:
        frames[1] = {"event": "failure", **frames[1]}
    assert list(parsed(events)) == [*frames, {"data": "[DONE]"}]
    for frame in parsed(events):
        validator(found, of_events["x-itemSchema"]).validate(frame)
    data = of_events["x-itemSchema"]["properties"]["data"]["anyOf"][0]
    assert data["contentSchema"] == of_lines["x-itemSchema"]


def test_an_error_in_a_stream_of_texts_is_no_text(library: Schema) -> None:
    found = document(library)
    content = named(found, "Library_Texts")["responses"]["200"]["content"]
    items = validator(found, content["application/x-ndjson"]["x-itemSchema"])
    right = ["a", {"error": {"code": 5, "message": "There is none."}}]
    assert [items.is_valid(one) for one in [*right, {}, {"error": "a"}]] == [
        True,
        True,
        False,
        False,
    ]


def is_error(value: object) -> bool:
    return isinstance(value, dict) and "error" in value


def parsed(frames: str) -> Iterator[dict[str, str]]:
    for frame in frames.removesuffix("\n\n").split("\n\n"):
        yield dict(line.split(": ", 1) for line in frame.splitlines())
