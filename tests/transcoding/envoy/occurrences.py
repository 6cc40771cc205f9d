"""What tells that two answers differ in a way that is known."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_to_bytes

import orjson

from bridge.transcoding.formats import StreamFormat
from tests.transcoding.envoy.answers import MISSING, Mismatch
from tests.transcoding.envoy.asked import Asked

Occurs = Callable[[Mismatch], bool]

# What only the bridge refuses.


def refused(reason: str, also: Occurs = lambda _: True) -> Occurs:
    """Return whether the bridge refuses for a reason, given as a pattern, and Envoy doesn't."""
    pattern = re.compile(reason)

    def occurs(mismatch: Mismatch) -> bool:
        return (
            mismatch.place == "status"
            and mismatch.envoy.is_of_rpc
            and pattern.fullmatch(mismatch.violation[1]) is not None
            and also(mismatch)
        )

    return occurs


def wrong(wanted: str, *given: str) -> str:
    """Return the pattern of a reason: something else, of these texts, was given."""
    return rf"it has to be {wanted}, not (?:{'|'.join(given)})"


def texts(*given: str) -> list[str]:
    return [re.escape(json.dumps(text)) for text in given]


INTEGER = r"an integer from -?\d+ to \d+"
NUMBER = rf"(?:{INTEGER}|a number of \d\d bits|a value of echo\.v1\.Kind)"
ANYTHING = r"(?s:.*)"


def in_body(mismatch: Mismatch) -> bool:
    """Return whether the field that is wrong is a name in the body, and none in the query."""
    field = mismatch.violation[0]
    names = (name for names in _objects(mismatch.asked.body) for name in names)
    is_there = any(f".{field}".endswith(f".{name}") for name in names)
    return is_there and field not in _parameters(mismatch.asked)


def _objects(body: str | None) -> Sequence[Sequence[str]]:
    """Return the names of each object in a body; none if it is no JSON."""
    found: list[Sequence[str]] = []
    with suppress(ValueError):
        json.loads(body or "", object_pairs_hook=lambda pairs: found.append([n for n, _ in pairs]))
    return found


def _parameters(asked: Asked) -> list[str]:
    return [name for name, _ in parse_qsl(asked.query, keep_blank_values=True)]


def _spelled(name: str) -> str:
    return re.sub("[-_]", "", name).lower()


def is_twice_in_query(mismatch: Mismatch) -> bool:
    names = [_spelled(name) for name in _parameters(mismatch.asked)]
    return names.count(_spelled(mismatch.violation[0].removeprefix("[0]."))) > 1


def has_a_name_twice(mismatch: Mismatch) -> bool:
    # "1" and "01" are one key of a map with numbers.
    objects = (
        [_spelled(name).lstrip("0") for name in one] for one in _objects(mismatch.asked.body)
    )
    return any(len(set(names)) < len(names) for names in objects)


def is_nameless(mismatch: Mismatch) -> bool:
    return mismatch.violation[0] == "" and "" in _parameters(mismatch.asked)


def is_in_well_known(mismatch: Mismatch) -> bool:
    field = mismatch.violation[0]
    outer = field.rpartition(".")[0].rpartition(".")[2]
    found = {"at", "lasts", "mask", "wrapped", "wrapped_text", "struct", "value"}
    return outer in found and field in _parameters(mismatch.asked)


def is_in_more(mismatch: Mismatch) -> bool:
    return mismatch.violation[0] == "more.text" and "more.text" in _parameters(mismatch.asked)


def is_no_json(mismatch: Mismatch) -> bool:
    try:
        orjson.loads(mismatch.asked.body or "")
    except orjson.JSONDecodeError:
        return True
    return False


def _is_utf8(text: str) -> bool:
    try:
        unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return False
    return True


def is_no_utf8_path(mismatch: Mismatch) -> bool:
    return mismatch.bridge.status == 404 and not _is_utf8(mismatch.asked.path)


def is_no_utf8_query(mismatch: Mismatch) -> bool:
    return not _is_utf8(mismatch.asked.query)


def is_of_another_type(mismatch: Mismatch) -> bool:
    media_type = mismatch.asked.content_type.partition(";")[0].lower()
    is_json = media_type == "application/json" or media_type.endswith("+json")
    if media_type.startswith("application/grpc") and mismatch.asked.path.startswith("/v1/content/"):
        return True
    return mismatch.bridge.status == 415 and bool(mismatch.asked.body) and not is_json


def in_any(mismatch: Mismatch) -> bool:
    return mismatch.violation[0].endswith("any.value")


# What only Envoy refuses, or finds no method for.


def refused_there(reason: str, also: Occurs = lambda _: True) -> Occurs:
    pattern = re.compile(reason)

    def occurs(mismatch: Mismatch) -> bool:
        return (
            mismatch.place == "status"
            and mismatch.bridge.is_of_rpc
            and not any(mismatch.violation)
            and pattern.match(mismatch.refusal) is not None
            and also(mismatch)
        )

    return occurs


def is_for_another_method(mismatch: Mismatch) -> bool:
    return (mismatch.here, mismatch.there) == (405, 404)


def is_head(mismatch: Mismatch) -> bool:
    return mismatch.asked.method == "HEAD" and (mismatch.here, mismatch.there) == (200, 404)


# What both answer, but otherwise.


def at(place: str, also: Occurs) -> Occurs:
    pattern = re.compile(place)

    def occurs(mismatch: Mismatch) -> bool:
        return pattern.fullmatch(mismatch.place) is not None and also(mismatch)

    return occurs


def has_other_digits(mismatch: Mismatch) -> bool:
    here, there = mismatch.here, mismatch.there
    if not isinstance(here, float) or not isinstance(there, float):
        return False
    return struct.pack("<f", here) == struct.pack("<f", there) and here != there


def is_negative_zero(mismatch: Mismatch) -> bool:
    return str(mismatch.here) == "-0.0" and str(mismatch.there) in ("0.0", "nothing")


# The paths that have variables.
_VARIABLES = [
    (re.compile(path), fields)
    for path, fields in (
        (r"/v1/one/([^/]+)/of/([^/]+)", ["inner.text", "text"]),
        (r"/v1/one/([^/]+?)(?::cancel)?", ["text"]),
        (r"/v1/texts/([^/]+)", ["text"]),
        (r"/v1/(shelves/[^/]+/books/[^/]+)", ["text"]),
        (r"/v1/files/?(.*?)(?::archive)?", ["text"]),
        (r"/v1/any/[^/]+/([^/]+).*", ["text"]),
        (r"/v1/numbers/([^/]+)/([^/]+)/([^/]+)", ["i32", "u64", "d"]),
        (r"/v1/others/([^/]+)/([^/]+)/([^/]+)", ["flag", "kind", "raw"]),
        (r"/v1/known/([^/]+)/([^/]+)/([^/]+)", ["at", "lasts", "wrapped"]),
    )
]


def is_set_by_path_and_otherwise(mismatch: Mismatch) -> bool:
    """Return whether a field has the value of the path here, but another that was sent there."""
    for path, fields in _VARIABLES:
        found = path.fullmatch(mismatch.asked.path)
        if found and mismatch.place in fields:
            value = found[fields.index(mismatch.place) + 1]
            is_sent = mismatch.place in _parameters(mismatch.asked) or _is_set_by_body(mismatch)
            return is_sent and (mismatch.place not in _TEXTS or _is_text(mismatch.here, value))
    return False


_TEXTS = {"text", "inner.text"}


def _is_text(here: Any, segments: str) -> bool:
    text = "" if here is MISSING else here
    return text in (unquote(segments), unquote(re.sub("%(2[Ff])", r"%25\1", segments)))


def _is_set_by_body(mismatch: Mismatch) -> bool:
    found = json.loads(mismatch.asked.body or "null")
    names = mismatch.place.split(".")
    if mismatch.asked.method == "PUT":
        names = names[1:] if names[0] == "inner" else [""]
    for name in names:
        found = found.get(name, MISSING) if isinstance(found, dict) else MISSING
    return found is not MISSING


def is_by_its_json_name(mismatch: Mismatch) -> bool:
    """Return whether a field is in the query, and in the body by a name that the proto hasn't."""
    name = mismatch.place.rpartition(".")[2]
    parameters = {
        _spelled(parameter.rpartition(".")[2]) for parameter in _parameters(mismatch.asked)
    }
    has_two = name in ("odd-name", "wrappedText", "wrappedFlag")
    return has_two and f'"{name}":' in (mismatch.asked.body or "") and _spelled(name) in parameters


def _segments(asked: Asked) -> list[str]:
    return asked.path.split("/")[1:]


def has_empty_segment(mismatch: Mismatch) -> bool:
    return mismatch.here == 404 and "" in _segments(mismatch.asked)[:-1]


def ends_with_slash(mismatch: Mismatch) -> bool:
    if not mismatch.asked.path.endswith("/"):
        return False
    if mismatch.place == "status":
        return bool(mismatch.here == 404)
    path = unquote(mismatch.asked.path)
    there = "" if mismatch.there is MISSING else str(mismatch.there)
    return (
        mismatch.place == "text"
        and path.endswith(mismatch.here)
        and (there == mismatch.here.rstrip("/"))
    )


def has_encoded_literal(mismatch: Mismatch) -> bool:
    literals = ("/v1/all", "/v1/one/mine", "/v1/one/a:cancel")
    return mismatch.asked.path not in literals and unquote(mismatch.asked.path) in literals


def has_verb_of_another_method(mismatch: Mismatch) -> bool:
    here = isinstance(mismatch.bridge.json, dict) and mismatch.bridge.json.get("text")
    return (
        mismatch.there == 404
        and here == unquote(_segments(mismatch.asked)[-1])
        and (mismatch.asked.path.endswith(":cancel"))
    )


def name_is_encoded(mismatch: Mismatch) -> bool:
    return any("%" in pair.partition("=")[0] for pair in mismatch.asked.query.split("&"))


def takes_lines(mismatch: Mismatch) -> bool:
    body = mismatch.asked.body or ""
    takes = mismatch.asked.path in ("/v1/sum", "/v1/talk") and not body.lstrip().startswith("[")
    return takes and mismatch.bridge.status == 200


def is_request_of_query(mismatch: Mismatch) -> bool:
    return (
        mismatch.asked.path in ("/v1/sum", "/v1/talk")
        and bool(mismatch.asked.query)
        and (mismatch.asked.body or "").split() == ["[]"]
        and mismatch.place in ("status", "", "more")
    )


def has_no_body(mismatch: Mismatch) -> bool:
    return not mismatch.asked.body


def is_of_lines(mismatch: Mismatch) -> bool:
    types = [("application/x-ndjson", False), ("application/json", False)]
    return mismatch.asked.form is StreamFormat.NDJSON and [mismatch.here, mismatch.there] == types


def has_no_type(mismatch: Mismatch) -> bool:
    asked = mismatch.asked
    has_none = asked.body is None or not asked.content_type
    return (
        asked.path.startswith("/v1/content/")
        and has_none
        and (mismatch.here == ("application/octet-stream", False))
    )


def _is_mask(value: Any) -> bool:
    # What FieldMask has names for, and only such as come back from snake_case.
    return re.fullmatch(r"([a-z][a-z0-9]*([A-Z][a-z0-9]+)*([.,](?=[a-z])|$))*", value) is not None


def is_odd_mask(mismatch: Mismatch) -> bool:
    here, asked = mismatch.here, mismatch.asked
    if not isinstance(here, str) or _is_mask(here):
        return False
    return here in unquote(asked.query) or json.dumps(here) in (asked.body or "")


MASK = r"(?:.*\.)?mask"
FLOAT = r"(?:.*\.)?f"
FLOAT_OR_DOUBLE = r"(?:.*\.)?[fd]|value|(?:.*\.)?value|struct\..*"
_PRIVATE = {500}
