"""Which template a path finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.transcoding.path_table import PathConflictError, PathTable
from bridge.transcoding.path_template import parse


def table(*templates: str, method: str = "GET") -> PathTable[str]:
    found: PathTable[str] = PathTable()
    for template in templates:
        found.add(method, parse(template), template)
    return found


@pytest.mark.parametrize(
    ("template", "matched", "others"),
    [
        ("/v1", ["/v1", "/%761"], ["/", "/v1/", "/v1/a", "/V1", "v1"]),
        ("/v1/*", ["/v1/a", "/v1/a:b", "/v1/%2F", "/v1/*"], ["/v1", "/v1/", "/v1/a/b"]),
        ("/v1/**", ["/v1", "/v1/", "/v1/a", "/v1/a/b/"], ["/v2", "/v1x"]),
        ("/v1/{name=a/*/b}", ["/v1/a/x/b"], ["/v1/a/b", "/v1/a/x/y/b", "/v1/a//b"]),
        ("/v1/*:go", ["/v1/a:go", "/v1/a:b:go", "/v1/a:%67o"], ["/v1/a", "/v1/:go", "/v1/a:gone"]),
        ("/v1:go", ["/v1:go"], ["/v1", "/v1/:go", "/v1:go/"]),
        ("/v1/a b".replace(" ", "%20"), ["/v1/a%20b"], ["/v1/a+b", "/v1/a%2520b"]),
    ],
)
def test_a_template_matches_whole_paths_only(
    template: str, matched: list[str], others: list[str]
) -> None:
    paths = table(template)
    assert [path for path in matched if paths.match("GET", path) is None] == []
    assert [path for path in others if paths.match("GET", path) is not None] == []


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v1/a", "/v1/a"),
        ("/v1/b", "/v1/*"),
        ("/v1/a/c", "/v1/**"),
        ("/v1/a/b", "/v1/*/b"),
        ("/v1/b/b", "/v1/*/b"),
        ("/v1/a:go", "/v1/*:go"),
        ("/v1/a:stay", "/v1/*"),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_most_exact_template_wins_whatever_their_order(
    path: str, template: str, backwards: bool
) -> None:
    templates = ["/v1/**", "/v1/*", "/v1/a", "/v1/*/b", "/v1/a/x", "/v1/*:go"]
    found = table(*(reversed(templates) if backwards else templates)).match("GET", path)
    assert found is not None
    assert found.route == template


def test_fields_have_the_values_of_the_path() -> None:
    found = table("/v1/{name=a/*}/{book.id}:{}".replace("{}", "go")).match(
        "GET", "/v1/a/b/c%2Fd:go"
    )
    assert found is not None
    assert found.values == {("name",): "a/b", ("book", "id"): "c/d"}


def test_each_method_has_its_own() -> None:
    paths: PathTable[int] = PathTable()
    paths.add("GET", parse("/v1/{a}"), 1)
    paths.add("POST", parse("/v1/{b}"), 2)
    paths.add("PUT", parse("/v1/**"), 3)
    got, posted, put = (paths.match(method, "/v1/x") for method in ("GET", "POST", "PUT"))
    assert got is not None
    assert posted is not None
    assert put is not None
    assert (got.values, posted.values, put.route) == ({("a",): "x"}, {("b",): "x"}, 3)
    assert paths.match("DELETE", "/v1/x") is None
    assert paths.methods("/v1/x") == {"GET", "POST", "PUT"}
    assert paths.methods("/v2") == frozenset()


def test_two_templates_that_match_the_same_are_refused() -> None:
    paths = table("/v1/{name}")
    with pytest.raises(PathConflictError) as caught:
        paths.add("GET", parse("/v1/*"), "other")
    assert str(caught.value) == "GET /v1/* matches what /v1/{name} matches"


def test_a_path_of_many_segments_is_no_burden() -> None:
    paths = table("/**", "/a/*/*:go")
    found = paths.match("GET", "/a" * 100_000)
    assert found is not None
    assert found.route == "/**"


def test_its_routes_are_in_the_order_in_which_they_were_added() -> None:
    assert list(table("/v1/*", "/v1/a", "/v1/**")) == ["/v1/*", "/v1/a", "/v1/**"]


def test_what_is_not_utf_8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        table("/v1/*").match("GET", "/v1/%ff")


SEGMENTS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4)


@given(st.lists(SEGMENTS, unique_by=tuple, max_size=8), SEGMENTS)
def test_the_table_finds_what_a_search_of_all_templates_finds(
    templates: list[list[str]], path: list[str]
) -> None:
    written = ["/" + "/".join(segments) for segments in templates]
    found = table(*written).match("GET", "/" + "/".join(path))
    fitting = [
        segments
        for segments in templates
        if len(segments) == len(path)
        and all(mine in ("*", theirs) for mine, theirs in zip(segments, path, strict=True))
    ]
    # A literal comes before `*`, the first segment first.
    best = min(fitting, key=lambda segments: [segment == "*" for segment in segments], default=None)
    assert (found and found.route) == (best and "/" + "/".join(best))
