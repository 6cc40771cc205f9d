"""The grammar of ``google.api.http``'s templates, and how what they match is decoded."""

from __future__ import annotations

import pytest

from bridge.transcoding.path_template import (
    ONE,
    REST,
    PathTemplateError,
    Variable,
    parse,
)

NAME = ("name",)


@pytest.mark.parametrize(
    ("text", "segments", "variables", "verb"),
    [
        ("/v1", ("v1",), (), ""),
        ("/v1/*", ("v1", ONE), (), ""),
        ("/v1/**", ("v1", REST), (), ""),
        ("/**", (REST,), (), ""),
        ("/v1/{name}", ("v1", ONE), (Variable(NAME, 1, 2),), ""),
        ("/v1/{name=*}", ("v1", ONE), (Variable(NAME, 1, 2),), ""),
        ("/{name=shelves/*}", ("shelves", ONE), (Variable(NAME, 0, 2),), ""),
        ("/v1/{name=**}", ("v1", REST), (Variable(NAME, 1, None),), ""),
        ("/{name=a/**}:go", ("a", REST), (Variable(NAME, 0, None),), "go"),
        ("/v1/{book.author.name}", ("v1", ONE), (Variable(("book", "author", "name"), 1, 2),), ""),
        (
            "/v1/{a}/x/{b}",
            ("v1", ONE, "x", ONE),
            (Variable(("a",), 1, 2), Variable(("b",), 3, 4)),
            "",
        ),
        ("/v1:watch", ("v1",), (), "watch"),
        ("/v1/{name}:undelete", ("v1", ONE), (Variable(NAME, 1, 2),), "undelete"),
        ("/v1/sm%C3%B8rrebr%C3%B8d", ("v1", "smørrebrød"), (), ""),
        ("/v1/a-b_c.d~e", ("v1", "a-b_c.d~e"), (), ""),
    ],
)
def test_a_template_has_segments_variables_and_a_verb(
    text: str, segments: tuple[str, ...], variables: tuple[Variable, ...], verb: str
) -> None:
    template = parse(text)
    assert str(template) == text
    assert (template.segments, template.variables, template.verb) == (segments, variables, verb)


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 1, "'/' is missing"),
        ("v1", 1, "'/' is missing"),
        ("/", 2, "a segment is missing"),
        ("/v1/", 5, "a segment is missing"),
        ("/v1//a", 5, "a segment is missing"),
        ("/v1?a=b", 4, "'?' can't stand here"),
        ("/v1/a b", 6, "' ' can't stand here"),
        ("/v1/a*", 6, "'*' can't stand here"),
        ("/v1/***", 7, "'*' can't stand here"),
        ("/v1/%zz", 5, "a segment is missing"),
        ("/v1/%ff", 5, "it isn't UTF-8"),
        ("/v1/**/a", 8, "** must be the last segment"),
        ("/v1/{name=**}/a", 15, "** must be the last segment"),
        ("/v1/{name", 10, "'}' is missing"),
        ("/v1/{}", 6, "the name of a field is missing"),
        ("/v1/{a.}", 8, "the name of a field is missing"),
        ("/v1/{1a}", 6, "the name of a field is missing"),
        ("/v1/{name=}", 11, "a segment is missing"),
        ("/v1/{name={other}}", 11, "a variable can't have another in it"),
        ("/v1/{a}/{a}", 10, "a is set twice"),
        ("/v1/{a}b", 8, "'b' can't stand here"),
        ("/v1/a}", 6, "'}' can't stand here"),
        ("/v1:", 5, "a verb is missing"),
        ("/v1:a/b", 6, "'/' can't stand here"),
        ("/v1:a:b", 6, "':' can't stand here"),
    ],
)
def test_a_wrong_template_is_refused_with_the_place(text: str, position: int, reason: str) -> None:
    with pytest.raises(PathTemplateError) as caught:
        parse(text)
    assert str(caught.value) == f"{text!r}, at character {position}: {reason}"


@pytest.mark.parametrize(
    ("template", "path", "value"),
    [
        ("/v1/{name}", "v1/a%2Fb", "a/b"),
        ("/v1/{name}", "v1/a%20b+c", "a b+c"),
        ("/v1/{name}", "v1/%25", "%"),
        ("/v1/{name}", "v1/%2525", "%25"),
        ("/v1/{name}", "v1/%E2%82%AC", "€"),
        ("/v1/{name}", "v1/", ""),
        ("/{name=a/*}", "a/b%2fc%20d", "a/b%2fc d"),
        ("/{name=a/**}", "a/b/c%2Fd", "a/b/c%2Fd"),
        ("/{name=a/**}", "a", "a"),
        ("/v1/{name=**}", "v1", ""),
        ("/v1/{name=**}", "v1/a/b", "a/b"),
    ],
)
def test_a_value_is_decoded_as_the_rules_say(template: str, path: str, value: str) -> None:
    (variable,) = parse(template).variables
    assert variable.value(path.split("/")) == value


def test_a_value_that_is_not_utf_8_is_refused() -> None:
    (variable,) = parse("/v1/{name}").variables
    with pytest.raises(UnicodeDecodeError):
        variable.value(["v1", "%ff"])
