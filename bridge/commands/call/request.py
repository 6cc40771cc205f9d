"""Reads what is sent: a message, or a stream of them."""

from __future__ import annotations

import os
import sys
from codecs import BOM_UTF8
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from bridge.commands.refusal import RefusalError
from bridge.transcoding.json.reader import JsonReader
from bridge.transcoding.json.text import JsonError, parse_all
from bridge.transcoding.path_template import parse as parse_template
from bridge.transcoding.request import to_message
from bridge.transcoding.request_error import RequestError
from bridge.transcoding.routes import WHOLE, Route
from bridge.transcoding.schema import RpcMethod


def read_text(given: str) -> bytes:
    """Return the JSON that an argument is, or that it names: ``@`` and a file, or ``-``.

    Raises:
        RefusalError: the file can't be read.
    """
    if given in ("-", "@-"):
        return sys.stdin.buffer.read()
    if not given.startswith("@"):
        return os.fsencode(given)
    try:
        return Path(given[1:]).read_bytes()
    except OSError as error:
        raise RefusalError(f"{given[1:]} can't be read: {error.strerror}", 2) from None


def to_messages(rpc: RpcMethod, reader: JsonReader, text: bytes) -> Sequence[Message]:
    """Return what is sent with the RPC.

    A stream is an array, or values one after the other. Nothing is an empty message, or an empty
    stream.

    Args:
        rpc: The method.
        reader: Reads messages of its schema.
        text: The messages in JSON.

    Raises:
        RequestError: they are no messages of the RPC.
    """
    read = partial(to_message, Route("POST", parse_template(rpc.path), rpc, WHOLE), reader, {}, "")
    given = _values(text)
    if not rpc.client_streaming:
        if len(given) > 1:
            raise RequestError("", f"{rpc.path[1:]} takes one message, not {len(given)}")
        return [read(given[0] if given else {})]
    if len(given) == 1 and isinstance(given[0], list):
        (given,) = given
    messages = []
    for number, value in enumerate(given):
        try:
            messages.append(read(value))
        except RequestError as error:
            raise error.within(f"[{number}]") from None
    return messages


def _values(text: bytes) -> Sequence[Any]:
    try:
        # Some editors write it.
        return parse_all(text.removeprefix(BOM_UTF8))
    except JsonError as error:
        raise RequestError("", f"It is no JSON: {error.reason}") from None
