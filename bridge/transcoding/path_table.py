"""Finds the route of a path among many templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeAlias, TypeVar

from bridge.transcoding.path_template import ONE, REST, PathTemplate, decoded

Route = TypeVar("Route")

# What stands for all HTTP methods that a template hasn't got otherwise.
ANY_METHOD: Final = "*"


class PathConflictError(ValueError):
    """Two routes whose templates match the same paths, for the same HTTP method.

    Attributes:
        method: The HTTP method.
        template: That of the route that was to be added.
        earlier: That of the one which is there.
        route: What was added with ``earlier``.
    """

    def __init__(
        self, method: str, template: PathTemplate, earlier: PathTemplate, route: Any
    ) -> None:
        super().__init__(method, template, earlier, route)
        self.method = method
        self.template = template
        self.earlier = earlier
        self.route = route

    def __str__(self) -> str:
        return f"{self.method} {self.template} matches what {self.earlier} matches"


@dataclass(frozen=True, slots=True)
class PathMatch(Generic[Route]):
    """A route that has been found.

    Attributes:
        route: What was added with the template.
        values: The value of each field that the path sets, by its path from the request's message.
    """

    route: Route
    values: Mapping[tuple[str, ...], str]


_Methods: TypeAlias = dict[str, tuple[PathTemplate, Route]]
# The segments of a path as they were sent, and what ends there.
_End: TypeAlias = tuple[Sequence[str], _Methods[Route]]


@dataclass(slots=True)
class _Node(Generic[Route]):
    literals: dict[str, _Node[Route]] = field(default_factory=dict)
    one: _Node[Route] | None = None
    rest: _Node[Route] | None = None
    # By verb, then by HTTP method.
    ends: dict[str, _Methods[Route]] = field(default_factory=dict)

    def after(self, segment: str) -> _Node[Route]:
        """Return the node after a segment of a template, which is made if there is none."""
        if segment == ONE:
            self.one = self.one or _Node()
            return self.one
        if segment == REST:
            self.rest = self.rest or _Node()
            return self.rest
        return self.literals.setdefault(segment, _Node())

    def ends_of(self, names: Sequence[str], depth: int = 0) -> Iterator[_Node[Route]]:
        """Yield the nodes at which a path can end, the most exact first.

        Args:
            names: The segments of the path, decoded.
            depth: How many of them have led here. What a path can't match is not looked at: the
                templates bound the depth, not the path.
        """
        if depth == len(names):
            yield self
        else:
            literal = self.literals.get(names[depth])
            if literal is not None:
                yield from literal.ends_of(names, depth + 1)
            if self.one is not None and names[depth]:
                yield from self.one.ends_of(names, depth + 1)
        if self.rest is not None:
            yield self.rest


class PathTable(Generic[Route]):
    """Routes by their templates.

    Of several templates that match, the one wins that is the most exact in the first segment in
    which they differ: a literal before ``*``, and that before ``**``. One with a verb comes before
    all without.
    """

    def __init__(self) -> None:
        self._root: _Node[Route] = _Node()
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        """Yield the routes in the order in which they were added."""
        return iter(self._routes)

    def add(self, method: str, template: PathTemplate, route: Route) -> None:
        """Add a route for an HTTP method.

        Raises:
            PathConflictError: another has a template that matches the same paths.
        """
        node = self._root
        for segment in template.segments:
            node = node.after(segment)
        methods = node.ends.setdefault(template.verb, {})
        if method in methods:
            raise PathConflictError(method, template, *methods[method])
        methods[method] = template, route
        self._routes.append(route)

    def match(self, method: str, path: str) -> PathMatch[Route] | None:
        """Return the route of a path.

        Args:
            method: The HTTP method.
            path: As it was sent, percent-encoded, with the slash at its beginning.

        Raises:
            UnicodeDecodeError: what is percent-encoded isn't UTF-8.
        """
        for segments, methods in self._ends(path):
            end = methods.get(method) or methods.get(ANY_METHOD)
            if end is not None:
                template, route = end
                values = {one.field_path: one.value(segments) for one in template.variables}
                return PathMatch(route, values)
        return None

    def methods(self, path: str) -> frozenset[str]:
        """Return the HTTP methods that a path has; ``ANY_METHOD`` may be among them.

        Raises:
            UnicodeDecodeError: what is percent-encoded isn't UTF-8.
        """
        return frozenset(method for _, methods in self._ends(path) for method in methods)

    def _ends(self, path: str) -> Iterator[_End[Route]]:
        for segments, verb in _readings(path):
            names = [decoded(segment) for segment in segments]
            for node in self._root.ends_of(names):
                if verb in node.ends:
                    yield segments, node.ends[verb]


def _readings(path: str) -> Iterator[tuple[Sequence[str], str]]:
    """Yield the segments of a path with its verb: first with what can be one, then with none."""
    segments = path[1:].split("/")
    *before, last = segments
    name, colon, verb = last.rpartition(":")
    if colon and verb:
        yield [*before, name], decoded(verb)
    yield segments, ""
