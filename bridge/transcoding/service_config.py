"""HTTP rules from a service configuration, for protos that have none or can't be changed.

That is the file of https://cloud.google.com/endpoints/docs/grpc-service-config/reference/rpc, which
grpc-gateway takes as ``grpc_api_configuration``, too. It is a ``google.api.Service``; here only
``http`` means something.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
from google.api.http_pb2 import Http, HttpRule
from google.api.service_pb2 import Service

from bridge.transcoding import yaml_file
from bridge.transcoding.exposure_error import ExposureError
from bridge.transcoding.json.reader import JsonReader
from bridge.transcoding.json.text import JsonError, parse
from bridge.transcoding.schema import RpcMethod
from bridge.transcoding.spelling import instead_of

_TYPE = "google.api.Service"
_VERSION = 3
# grpc-gateway reads the last one for its generator of OpenAPI.
_KEYS = frozenset(
    name for field in Service.DESCRIPTOR.fields for name in (field.name, field.json_name)
) | {"type", "openapiOptions"}
_HTTP_KEYS = frozenset(
    name for field in Http.DESCRIPTOR.fields for name in (field.name, field.json_name)
)


class ServiceConfigError(ExposureError):
    """A service configuration that can't be used."""


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """The HTTP rules of a service configuration.

    Attributes:
        path: Where it was read.
        rules: Each by the full name of its method.
    """

    path: Path
    rules: Mapping[str, HttpRule]

    def apply(self, methods: Iterable[RpcMethod]) -> list[RpcMethod]:
        """Return the methods with these rules; one replaces that of the proto.

        Args:
            methods: All that there are.

        Raises:
            ServiceConfigError: a rule is for a method that there isn't.
        """
        by_selector = {f"{method.service}.{method.name}": method for method in methods}
        problems = [
            f"{self.path}: {selector}: there is no such method{instead_of(selector, by_selector)}"
            for selector in self.rules
            if selector not in by_selector
        ]
        if problems:
            raise ServiceConfigError(problems)
        return [
            replace(method, rule=self.rules.get(selector, method.rule))
            for selector, method in by_selector.items()
        ]


def read(path: Path) -> ServiceConfig:
    """Return the HTTP rules of a file. Of several for one method, the last one holds.

    Raises:
        ServiceConfigError: it can't be read, or is no service configuration.
    """
    try:
        found = yaml_file.read(path)
    except yaml_file.YamlError as error:
        raise ServiceConfigError([str(error)]) from None
    problems: list[str] = []
    rules = dict(_rules(_http(found, problems), problems))
    if problems:
        raise ServiceConfigError([f"{path}: {problem}" for problem in problems])
    return ServiceConfig(path, rules)


def _http(found: Any, problems: list[str]) -> Mapping[Any, Any]:
    if not isinstance(found, dict) or found.get("type") != _TYPE:
        problems.append(f"it is no service configuration, which has type: {_TYPE}")
        return {}
    problems.extend(_unknown(found, _KEYS))
    version = found.get("config_version", found.get("configVersion", _VERSION))
    if version != _VERSION:
        problems.append(f"config_version is {version}, not {_VERSION}")
    http = found.get("http") or {}
    if not isinstance(http, dict):
        problems.append("http is no mapping")
        return {}
    problems.extend(f"http: {problem}" for problem in _unknown(http, _HTTP_KEYS))
    if http.get("fully_decode_reserved_expansion") or http.get("fullyDecodeReservedExpansion"):
        problems.append(
            "http: fully_decode_reserved_expansion is not supported: %2F in a field of several "
            "segments stays as it was sent"
        )
    return http


def _unknown(found: Mapping[Any, Any], known: Iterable[str]) -> Iterator[str]:
    for key in found:
        if key not in known:
            yield f"{key}: there is no such key{instead_of(str(key), known)}"


def _rules(http: Mapping[Any, Any], problems: list[str]) -> Iterator[tuple[str, HttpRule]]:
    rules = http.get("rules") or []
    if not isinstance(rules, list):
        problems.append("http: rules is no list")
        return
    for number, given in enumerate(rules):
        selector = given.get("selector") if isinstance(given, dict) else None
        if not isinstance(selector, str) or not selector:
            problems.append(f"http: rules.{number} has no selector")
            continue
        try:
            yield selector, _rule(given)
        except (JsonError, orjson.JSONEncodeError) as error:
            problems.append(f"{selector}: {error}")


def _rule(given: Mapping[Any, Any]) -> HttpRule:
    rule = HttpRule()
    JsonReader(rule.DESCRIPTOR.file.pool).read(parse(orjson.dumps(given)), rule)
    return rule
