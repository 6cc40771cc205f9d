"""Templates as paths of OpenAPI: each wildcard is a parameter."""

from __future__ import annotations

import pytest

from bridge.transcoding.openapi.path import OpenApiPath, Paths, of_template
from bridge.transcoding.path_template import parse


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/v1/books", "/v1/books"),
        ("/v1/{name}", "/v1/{name}"),
        ("/v1/{book.name}/{page}", "/v1/{book.name}/{page}"),
        ("/v1/{name=shelves/*}", "/v1/shelves/{shelvesId}"),
        ("/v1/{name=shelves/*/books/*}", "/v1/shelves/{shelvesId}/books/{booksId}"),
        ("/v1/shelves/{shelf}/books/{book}", "/v1/shelves/{shelf}/books/{book}"),
        ("/v1/{name=operations}", "/v1/operations"),
        ("/v1/{name=operations/**}:cancel", "/v1/operations/{operationsId}:cancel"),
        ("/v1/{name=**}", "/v1/{name}"),
        ("/v1/{name=*/*}", "/v1/{name}/{name_2}"),
        ("/{name=a/*/a/*}", "/a/{aId}/a/{aId_2}"),
        ("/v1/*/**", "/v1/{v1Id}/{segment}"),
        ("/**", "/{segment}"),
        ("/v1/{name}:undelete", "/v1/{name}:undelete"),
        ("/v1/a%20b/%7Bc%7D/d%3Ae", "/v1/a%20b/%7Bc%7D/d%3Ae"),
        ("/v1/{name=%7Bc%7D/*}", "/v1/%7Bc%7D/{%7Bc%7DId}"),
        ("/package.Service/Method", "/package.Service/Method"),
    ],
)
def test_a_template_has_a_path(template: str, path: str) -> None:
    assert str(of_template(parse(template))) == path


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("/v1/{name}", "{name}"),
        ("/v1/{name=shelves/*/books/*}/pages/*", "shelves/{shelvesId}/books/{booksId}"),
        ("/v1/{name=operations/**}:cancel", "operations/{operationsId}"),
        ("/v1/{name=operations}", "operations"),
    ],
)
def test_the_value_of_a_variable_has_its_parameters(template: str, value: str) -> None:
    path = of_template(parse(template))
    assert path.value(path.template.variables[0]) == value


def added(*routes: tuple[str, str]) -> list[OpenApiPath]:
    paths = Paths()
    return [paths.add(method, parse(template)) for method, template in routes]


def test_paths_that_match_the_same_have_the_first_names() -> None:
    assert [*map(str, added(("GET", "/v1/{a}/x"), ("PUT", "/v1/{b}/x"), ("GET", "/v1/{c}/y")))] == [
        "/v1/{a}/x",
        "/v1/{a}/x",
        "/v1/{c}/y",
    ]


def test_two_routes_of_one_http_method_have_two_paths() -> None:
    routes = [("GET", "/v1/{a}"), ("GET", "/v1/{a=**}"), ("PUT", "/v1/{b=**}"), ("PUT", "/v1/*")]
    assert [*map(str, added(*routes))] == ["/v1/{a}", "/v1/{a_2}", "/v1/{a}", "/v1/{a_2}"]
