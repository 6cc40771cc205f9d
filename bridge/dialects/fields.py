"""Types of fields that the requests of several wires share."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

# What the schema's 32 bits can carry.
MOST_TOKENS = 2**32 - 1


class Model(BaseModel):
    """Takes no number for a text, and no text for a number."""

    model_config = ConfigDict(strict=True)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"Text can't have half a surrogate pair, as at character {error.start}"
        ) from None
    return text


def _writable(value: Any) -> Any:
    try:
        written(value).encode()
    except ValueError:
        raise PydanticCustomError(
            "json", "JSON has no NaN, no infinity, and no half of a surrogate pair"
        ) from None
    return value


def _refused(value: Any) -> None:
    if value:
        raise PydanticCustomError("unsupported", "This is not supported by the bridge")


def written(value: Any) -> str:
    """Return a value as JSON.

    orjson would write NaN as null, and can't write an integer of more than 64 bits.

    Raises:
        ValueError: it has NaN or an infinity.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


# JSON can escape half a surrogate pair (RFC 8259, section 8.2), which is no text and which
# protobuf can't carry.
Text = Annotated[str, AfterValidator(_encodable)]

# What goes on as it is, such as the arguments of a tool, or a JSON Schema.
JsonValue = Annotated[Any, AfterValidator(_writable)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_writable)]

# What would change the answer, and can't be carried.
Unsupported = Annotated[
    None,
    BeforeValidator(_refused),
    WithJsonSchema({"enum": [None, False, 0, "", [], {}], "description": "Is not supported."}),
]
