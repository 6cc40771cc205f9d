"""Requests that hypothesis puts together of what is right, and of something odd."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bridge.transcoding.formats import StreamFormat
from tests.transcoding.envoy.alone import ODD_MEMBERS, ODD_QUERIES, ODD_SEGMENTS
from tests.transcoding.envoy.asked import Asked
from tests.transcoding.envoy.paths import PATHS, TYPED_PATHS
from tests.transcoding.envoy.values import IN_JSON, IN_URL, MEMBERS, PARAMETERS, TEXTS, Texts, among


def in_query(text: str) -> Texts:
    everywhere = "".join(f"%{byte:02x}" for byte in text.encode())
    some = quote(text, safe="-._~!$'()*,;:@/?")
    return among(quote(text, safe=""), some, quote_plus(text), everywhere)


def in_segment(text: str) -> Texts:
    everywhere = "".join(f"%{byte:02X}" for byte in text.encode())
    return among(quote(text, safe="-._~!$&'()*+,;=:@"), quote(text, safe=""), everywhere)


SEGMENTS = TEXTS.flatmap(in_segment)


@st.composite
def pairs(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(PARAMETERS)))
    prefix = "inner." * draw(st.sampled_from([0, 0, 1, 2]))
    return f"{prefix}{name}={draw(IN_URL[PARAMETERS[name]].valid.flatmap(in_query))}"


@st.composite
def odd_pairs(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(PARAMETERS)))
    value = draw(st.sampled_from(IN_URL[PARAMETERS[name]].odd))
    prefix = "inner." * draw(st.sampled_from([0, 1, 2]))
    return f"{prefix}{name}={draw(in_query(value))}"


def _place(pair: str) -> str:
    """Return what is the same for all that can't be there together."""
    name = re.sub("[^a-z0-9.]", "", re.split("[=:]", pair)[0].lower())
    return re.sub("(left|right)$", "choice", name)


@st.composite
def queries(draw: st.DrawFn, odd: bool = False) -> str:
    found = draw(st.lists(pairs(), max_size=3, unique_by=_place))
    if odd:
        found.append(draw(odd_pairs() | st.sampled_from(ODD_QUERIES)))
    return "&".join(found)


@st.composite
def members(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(MEMBERS)))
    return f'"{name}":{draw(IN_JSON[MEMBERS[name]].valid)}'


@st.composite
def odd_members(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(MEMBERS)))
    odd = [f'"{name}":{value}' for value in IN_JSON[MEMBERS[name]].odd]
    return draw(st.sampled_from(odd) | st.sampled_from(ODD_MEMBERS))


@st.composite
def objects(draw: st.DrawFn, odd: bool = False, depth: int = 2) -> str:
    found = draw(st.lists(members(), max_size=3, unique_by=_place))
    inside = depth > 0 and draw(st.booleans())
    if odd and not inside:
        found.insert(draw(st.integers(0, len(found))), draw(odd_members()))
    if inside:
        value = draw(objects(odd, depth - 1))
        found.append(draw(among(f'"inner":{value}', f'"by_number":{{"1":{value}}}')))
    space = draw(among("", "", " ", "\n\t"))
    return f"{{{f',{space}'.join(found)}}}"


@st.composite
def bodies(draw: st.DrawFn, kind: str, odd: bool) -> str:
    match kind:
        case "object":
            return draw(objects(odd))
        case "stream":
            found = draw(st.lists(objects(), max_size=3))
            if odd:
                found.insert(draw(st.integers(0, len(found))), draw(objects(odd=True)))
            return f"[{','.join(found)}]"
        case "counted":
            rest = draw(objects(odd))[1:]
            comma = "" if rest == "}" else ","
            count, fail = draw(st.integers(0, 3)), draw(st.integers(0, 17))
            return f'{{"count":{count},"fail":{fail}{comma}{rest}'
        case "content":
            return draw(TEXTS | among("", "{}", "{"))
    values = IN_JSON[kind]
    return draw(st.sampled_from(values.odd) if odd else values.valid)


@st.composite
def paths(draw: st.DrawFn, odd: bool) -> tuple[str, str, str]:
    if draw(st.integers(0, 9)) < 3:
        template, kinds = draw(st.sampled_from(TYPED_PATHS))
        values = [draw(IN_URL[kind].valid.filter(bool)) for kind in kinds]
        if odd:
            place = draw(st.integers(0, len(kinds) - 1))
            values[place] = draw(st.sampled_from(IN_URL[kinds[place]].odd))
        return "GET", template.format(*[draw(in_segment(value)) for value in values]), ""
    method, template, body = draw(st.sampled_from(PATHS))
    segments = [draw(SEGMENTS) for _ in range(template.count("{}"))]
    if odd and segments:
        segments[draw(st.integers(0, len(segments) - 1))] = draw(st.sampled_from(ODD_SEGMENTS))
    return method, template.format(*segments), body


@st.composite
def requests(draw: st.DrawFn, odd: str) -> Asked:
    """Draw a request of which the path, the query, the body or nothing is odd."""
    method, path, kind = draw(paths(odd == "path"))
    query = draw(queries(odd == "query")) if odd == "query" or draw(st.booleans()) else ""
    body = draw(bodies(kind, odd == "body")) if kind else None
    target = f"{path}?{query}" if query else path
    return Asked(method, target, body, form=draw(st.sampled_from(StreamFormat)))


def drawn(count: int) -> Iterator[Asked]:
    """Yield so many requests, some more than once; they are the same each time."""
    for odd in ("", "path", "query", "body"):
        yield from _examples(requests(odd), count // 4)


def _examples(strategy: st.SearchStrategy[Asked], count: int) -> list[Asked]:
    found: list[Asked] = []

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(asked: Asked) -> None:
        found.append(asked)

    collect()
    return found
