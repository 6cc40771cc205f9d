"""Templates of ``google.api.http`` as paths of OpenAPI.

A parameter of OpenAPI is one segment, or a part of one: its slashes are percent-encoded. So a
variable of several segments, such as ``{name=shelves/*/books/*}``, can't be one parameter: clients
would send ``shelves%2F1%2Fbooks%2F2``, which the template doesn't match. Instead each wildcard is a
parameter, and the literals stay: ``/shelves/{shelvesId}/books/{booksId}``. The ``flatPath`` of
Google's discovery documents is made that way.

``**`` is a parameter too, though OpenAPI has none for several segments.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from bridge.transcoding.path_template import ONE, REST, PathTemplate, Variable

# What a literal may have as it is; a colon would begin a verb.
_AS_IT_IS = "!$&'()+,;@"


@dataclass(frozen=True, slots=True)
class OpenApiPath:
    """A path of OpenAPI.

    Attributes:
        template: What it is made of.
        names: The parameters' names, by the numbers of their segments.
    """

    template: PathTemplate
    names: Mapping[int, str]

    def __str__(self) -> str:
        return self._written({number: f"{{{name}}}" for number, name in self.names.items()})

    @property
    def hierarchy(self) -> str:
        """The path without its parameters' names. OpenAPI wants no other path to have the same."""
        return self._written(dict.fromkeys(self.names, "{}"))

    def value(self, variable: Variable) -> str:
        """Return the value of a variable, with the parameters in it."""
        segments = [
            f"{{{self.names[number]}}}" if number in self.names else segment
            for number, segment in enumerate(self.template.segments)
        ]
        return "/".join(segments[variable.start : variable.stop])

    def _written(self, parameters: Mapping[int, str]) -> str:
        segments = [
            parameters.get(number) or quote(segment, safe=_AS_IT_IS)
            for number, segment in enumerate(self.template.segments)
        ]
        verb = f":{quote(self.template.verb, safe=_AS_IT_IS)}" if self.template.verb else ""
        return f"/{'/'.join(segments)}{verb}"


def of_template(template: PathTemplate) -> OpenApiPath:
    """Return the path of a template.

    A parameter is called after the literal before it, as in ``shelvesId``, if that is in the same
    variable. Otherwise it has the name of the variable.
    """
    names: dict[int, str] = {}
    for number, segment in enumerate(template.segments):
        if segment in (ONE, REST):
            found = _name(template, number)
            names[number] = unique(found, names.values())
    return OpenApiPath(template, names)


class Paths:
    """The paths of a document.

    Those that differ only in the names of their parameters are one, as OpenAPI wants: the first
    names stay. Only if they have the same HTTP method, as ``/*`` and ``/**`` can, the second keeps
    other names.
    """

    def __init__(self) -> None:
        self._names: defaultdict[str, list[Mapping[int, str]]] = defaultdict(list)
        self._added: Counter[tuple[str, str]] = Counter()

    def add(self, method: str, template: PathTemplate) -> OpenApiPath:
        """Return the path of a template for an HTTP method."""
        path = of_template(template)
        known = self._names[path.hierarchy]
        earlier = self._added[method, path.hierarchy]
        self._added[method, path.hierarchy] += 1
        if earlier == len(known):
            taken = {name for names in known for name in names.values()}
            known.append({number: unique(name, taken) for number, name in path.names.items()})
        return OpenApiPath(template, known[earlier])


def unique(name: str, taken: Collection[str]) -> str:
    """Return ``name``, with a number after it if it is taken."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _name(template: PathTemplate, number: int) -> str:
    variable = template.variable(number)
    first = 0 if variable is None else variable.start
    before = template.segments[number - 1] if number > first else ONE
    if before not in (ONE, REST):
        return f"{quote(before)}Id"
    return "segment" if variable is None else ".".join(variable.field_path)
