"""The HTTP rules of a service configuration, and what is no such file."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from google.api.http_pb2 import CustomHttpPattern, HttpRule

from bridge.transcoding.routes import of_methods
from bridge.transcoding.schema import RpcMethod
from bridge.transcoding.service_config import ServiceConfig, ServiceConfigError
from bridge.transcoding.service_config import read as read_config
from tests.transcoding.backend import schema_of
from tests.transcoding.conftest import Compile

LIBRARY = """
package library.v1;
import "google/api/annotations.proto";
message Book { string name = 1; repeated string tags = 2; }
service Library {
  rpc Get(Book) returns (Book) { option (google.api.http) = { get: "/proto/{name}" }; }
  rpc Put(Book) returns (Book) { option (google.api.http) = { put: "/proto/{name}" }; }
  rpc Watch(Book) returns (stream Book);
}
"""
HEAD = "type: google.api.Service\nconfig_version: 3\n"


def config(folder: Path, text: str, head: str = HEAD) -> ServiceConfig:
    path = folder / "library.yaml"
    path.write_text(head + dedent(text))
    return read_config(path)


def problems(folder: Path, text: str, head: str = HEAD) -> list[str]:
    """Return why a file is refused, each without its name."""
    with pytest.raises(ServiceConfigError) as caught:
        config(folder, text, head)
    return [
        problem.removeprefix(str(folder / "library.yaml"))
        for problem in str(caught.value).split("\n")
    ]


@pytest.fixture
def methods(compile_protos: Compile) -> list[RpcMethod]:
    return list(schema_of(compile_protos(library=LIBRARY)).services["library.v1.Library"])


def test_a_rule_has_all_that_one_in_a_proto_can_have(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        """
        http:
          rules:
          - selector: library.v1.Library.Get
            get: /v1/{name}
            response_body: tags
            additional_bindings:
            - post: /v1/books
              body: "*"
            - custom: {kind: REPORT, path: /v1/report}
        """,
    )
    assert found.rules == {
        "library.v1.Library.Get": HttpRule(
            selector="library.v1.Library.Get",
            get="/v1/{name}",
            response_body="tags",
            additional_bindings=[
                HttpRule(post="/v1/books", body="*"),
                HttpRule(custom=CustomHttpPattern(kind="REPORT", path="/v1/report")),
            ],
        )
    }


def test_a_rule_replaces_that_of_the_proto(tmp_path: Path, methods: list[RpcMethod]) -> None:
    found = config(
        tmp_path,
        """
        http:
          rules:
          - {selector: library.v1.Library.Get, get: "/v1/{name}"}
          - {selector: library.v1.Library.Watch, get: "/v1/{name}:watch"}
        """,
    )
    table = of_methods(found.apply(methods))
    assert table.methods("/v1/a") == table.methods("/v1/a:watch") == {"GET"}
    assert table.methods("/library.v1.Library/Watch") == frozenset()
    assert table.methods("/proto/a") == {"PUT"}


def test_of_several_rules_for_a_method_the_last_one_holds(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        """
        http:
          rules:
          - {selector: library.v1.Library.Get, get: /first, response_body: tags}
          - {selector: library.v1.Library.Get, get: /last}
        """,
    )
    (rule,) = found.rules.values()
    assert (rule.get, rule.response_body) == ("/last", "")


def test_what_is_not_about_http_is_left_to_others(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        """
        name: library.example.com
        apis: [{name: library.v1.Library}]
        authentication: {rules: [{selector: "*"}]}
        openapiOptions: {file: []}
        """,
    )
    assert not found.rules


def test_a_rule_for_a_method_that_there_is_not_is_refused(
    tmp_path: Path, methods: list[RpcMethod]
) -> None:
    found = config(
        tmp_path,
        """
        http:
          rules:
          - {selector: library.v1.Library.Gett, get: /a}
          - {selector: other, get: /b}
        """,
    )
    with pytest.raises(ServiceConfigError) as caught:
        found.apply(methods)
    path = tmp_path / "library.yaml"
    assert caught.value.problems == [
        f"{path}: library.v1.Library.Gett: there is no such method: "
        "did you mean library.v1.Library.Get or library.v1.Library.Put?",
        f"{path}: other: there is no such method",
    ]


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        htpp: {}
        http:
          rulez: []
          fully_decode_reserved_expansion: true
          rules:
          - {selector: a.B, putt: /a}
          - {get: /a}
          - {selector: a.C, additional_bindings: [{get: 5}]}
          - {selector: a.D, get: /a, post: /a}
          - {selector: a.E, get: {a: b}}
          - a.F
        """,
        head="type: google.api.Service\nconfig_version: 2\n",
    )
    assert found == [
        ": htpp: there is no such key: did you mean http?",
        ": config_version is 2, not 3",
        ": http: rulez: there is no such key: did you mean rules?",
        ": http: fully_decode_reserved_expansion is not supported: %2F in a field of several "
        "segments stays as it was sent",
        ": a.B: putt: there is no such field",
        ": http: rules.1 has no selector",
        ": a.C: additional_bindings[0].get: it has to be a string, not 5",
        ": a.D: post: it can't be there together with get",
        ": a.E: get: it has to be a string, not an object",
        ": http: rules.5 has no selector",
    ]


@pytest.mark.parametrize("text", ["", "[]", "http: {rules: []}", "type: google.api.Other"])
def test_a_file_of_another_type_is_refused(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text, head="") == [
        ": it is no service configuration, which has type: google.api.Service"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("http: []", "http is no mapping"), ("http: {rules: {}}", "http: rules is no list")],
)
def test_rules_of_another_form_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    found = problems(tmp_path, text.replace("[]", "[1]").replace("{}", "{a: b}"))
    assert found == [f": {problem}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "http: {rules: [}",
            ", line 3: while parsing a flow node, expected the node content, but found '}'",
        ),
        (
            "http:\n\trules: []",
            ", line 4: while scanning for the next token, found character '\\t'",
        ),
        (
            "http:\n  rules: []\n  rules: [1]",
            ", line 5: rules stands here again, after line 4",
        ),
        ("type: other", ", line 3: type stands here again, after line 1"),
        ("a: &x 1\nb: *y", ", line 4: found undefined alias 'y'"),
        ("a: !!python/name:os.system x", ", line 3: could not determine a constructor for the tag"),
        (
            "--- {}",
            ", line 3: expected a single document in the stream, but found another document",
        ),
        ("a: \x01", ": unacceptable character"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    (told,) = problems(tmp_path, text)
    assert told.startswith(problem)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceConfigError) as caught:
        read_config(tmp_path / "missing.yaml")
    assert str(caught.value) == f"{tmp_path}/missing.yaml can't be read: No such file or directory"
