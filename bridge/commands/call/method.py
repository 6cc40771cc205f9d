"""Finds the method that a name means, and lists what there is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from google.protobuf.descriptor import Descriptor

from bridge.commands.columns import aligned
from bridge.commands.refusal import RefusalError
from bridge.settings import Settings
from bridge.status import Status
from bridge.transcoding.exposure_error import ExposureError
from bridge.transcoding.schema import RpcMethod, Schema, build, read
from bridge.transcoding.spelling import instead_of
from bridge.upstream import Backends, RpcError
from bridge.upstream.reflection import reflect

_NO_REFLECTION = "Set BRIDGE_DESCRIPTORS (--descriptors) to descriptor sets of its protos."


async def schema_of(settings: Settings, backends: Backends, name: str) -> Schema:
    """Return a schema that has what ``name`` means, if there is such a thing.

    Args:
        settings: They have descriptor sets, or say that ``backends`` are asked.
        backends: Are not asked otherwise, and need not be open then.
        name: See ``find``.

    Raises:
        RefusalError: it can't be read.
    """
    status = 2
    try:
        files = {file.name: file for file in read(settings.descriptors)}
        if not settings.asks_for_schema:
            return build(files.values())
        status = 1
        link = backends.place()
        reflected = await reflect(link.channel, link.metadata, partial(_services, name))
        there = {file.name: file for file in reflected.files}
        return build((there | files).values(), reflected.services)
    except ExposureError as error:
        raise RefusalError(f"The schema can't be used.\n{error}", status) from None
    except RpcError as error:
        reason = error.reason
        if error.status is Status.UNIMPLEMENTED:
            reason += f" {_NO_REFLECTION}"
        raise RefusalError(f"The schema can't be read.\n{reason}", status) from None


def find(schema: Schema, name: str) -> RpcMethod | str:
    """Return the method that is meant, or a list of what there is if the name has none.

    Args:
        schema: What there is.
        name: ``package.Service/Method``, or with a point for the slash; or ``package.Service``,
            or nothing.

    Raises:
        RefusalError: there is no such thing.
    """
    if not name:
        return "".join(f"{service}\n" for service in schema.names)
    service, method = _parts(name, schema.names)
    methods = schema.services.get(service)
    if methods is None:
        raise _unknown(name, schema.missing(service))
    if not method:
        return _table(methods)
    by_name = {rpc.name: rpc for rpc in methods}
    if method not in by_name:
        there = instead_of(method, by_name) or f": it has {', '.join(by_name) or 'none'}"
        raise _unknown(name, f"the service {service} has no method {method}{there}")
    return by_name[method]


def _unknown(name: str, reason: str) -> RefusalError:
    return RefusalError(f"{name} can't be asked.\n{reason}", 2)


def _services(name: str, there: Sequence[str]) -> Collection[str]:
    return {_parts(name, there)[0]} & set(there)


def _parts(name: str, services: Collection[str]) -> tuple[str, str]:
    name = name.removeprefix("/")
    service, slash, method = name.partition("/")
    if not slash and name not in services:
        before, _, after = name.rpartition(".")
        if before in services:
            return before, after
    return service, method


def _table(methods: Sequence[RpcMethod]) -> str:
    rows = [("METHOD", "REQUEST", "RESPONSE")]
    rows += [
        (
            rpc.path[1:],
            _kind(rpc.request, streams=rpc.client_streaming),
            _kind(rpc.response, streams=rpc.server_streaming),
        )
        for rpc in methods
    ]
    return aligned(rows)


def _kind(message: Descriptor, *, streams: bool) -> str:
    return f"stream {message.full_name}" if streams else message.full_name
