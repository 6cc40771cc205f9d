"""Which wires there are, and which of them a request speaks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from bridge.dialects.anthropic_messages import AnthropicErrors
from bridge.dialects.errors import ErrorForm
from bridge.dialects.ollama import OllamaErrors
from bridge.dialects.openai_chat import OpenAIErrors
from bridge.dialects.plain import PlainErrors
from bridge.dialects.ui_message import UIMessageErrors

HEADER = "x-bridge-wire"

# How the official SDKs, and those that are made like them, name themselves.
_OPENAI_SDK = re.compile(r"\b(Async)?(Azure)?OpenAI/|\bai-sdk[-/]")
_PROFILE = re.compile(r';\s*profile="?([^";,\s]*)', re.IGNORECASE)


class Wire(StrEnum):
    """An API that the bridge speaks."""

    PLAIN = "plain"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    UI_MESSAGE = "ui-message"
    OLLAMA = "ollama"


class UnknownWireError(ValueError):
    """A request asks for a wire that there is not; the text says which there are."""


_FORMS: Mapping[Wire, ErrorForm] = {
    Wire.PLAIN: PlainErrors(),
    Wire.OPENAI: OpenAIErrors(),
    Wire.ANTHROPIC: AnthropicErrors(),
    Wire.UI_MESSAGE: UIMessageErrors(),
    Wire.OLLAMA: OllamaErrors(),
}


def error_form(wire: Wire) -> ErrorForm:
    """Return how ``wire`` tells of a request that failed."""
    return _FORMS[wire]


def chosen(headers: Mapping[str, str], default: Wire, wires: Sequence[Wire] = tuple(Wire)) -> Wire:
    """Return the wire of a request to a path that several share.

    A client that asks for one gets it: by ``x-bridge-wire``, or by the ``profile`` of the media
    type that it accepts. SDKs don't ask, but name themselves. All others get the default.

    Args:
        headers: The request's, which are looked up by names in lower case.
        default: The wire of a client that says nothing.
        wires: Those that have the path; the first is for a client that can't have another.

    Raises:
        UnknownWireError: there is no such wire at this path.
    """
    asked = headers.get(HEADER)
    if asked is not None:
        return _asked_for(asked, wires)
    wanted = (_profile(headers), _sdk(headers), default)
    return next((wire for name in wanted for wire in wires if wire == name), wires[0])


def _profile(headers: Mapping[str, str]) -> str | None:
    # A profile that nobody knows is to be passed over (RFC 6906, section 3.1).
    found = _PROFILE.search(headers.get("accept", ""))
    return found and found.group(1).lower()


def _sdk(headers: Mapping[str, str]) -> Wire | None:
    if "anthropic-version" in headers:
        return Wire.ANTHROPIC
    if "x-stainless-lang" in headers or _OPENAI_SDK.search(headers.get("user-agent", "")):
        return Wire.OPENAI
    return None


def _asked_for(name: str, wires: Sequence[Wire]) -> Wire:
    for wire in wires:
        if name.lower() == wire:
            return wire
    raise UnknownWireError(f"There is no wire {name!r} here; the wires are: {', '.join(wires)}.")
