"""Asks a backend for its schema.

https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from bridge.status import Status
from bridge.upstream.call import Channel, Metadata, Method, RpcError

# The messages of the two are the same.
_VERSIONS = ("grpc.reflection.v1", "grpc.reflection.v1alpha")

_DEADLINE_SECONDS = 30.0
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Reflected:
    """What a backend tells of itself.

    Attributes:
        services: The full names of its services.
        files: Those that define the services that were chosen, with all that they import.
        undescribed: The services that were chosen, and that it can't tell the files of.
    """

    services: Sequence[str]
    files: Sequence[FileDescriptorProto]
    undescribed: Sequence[str]


async def reflect(
    channel: Channel,
    metadata: Metadata,
    choose: Callable[[Sequence[str]], Iterable[str]],
    *,
    deadline: float = _DEADLINE_SECONDS,
) -> Reflected:
    """Return what the backend at the other end of a channel tells of itself.

    Args:
        channel: To the backend.
        metadata: What proves who asks.
        choose: Returns of all services those whose files are wanted.
        deadline: Seconds for all questions together: each answer can be the reason for another.

    Raises:
        RpcError: it can't be reached, offers no reflection (UNIMPLEMENTED), sends what is no
            descriptor, or comes to no end.
    """
    try:
        async with asyncio.timeout(deadline):
            return await _read(channel, metadata, choose)
    except TimeoutError:
        cause = f"the backend hasn't told its schema within {deadline:g} seconds"
        raise RpcError(Status.DEADLINE_EXCEEDED, cause=cause) from None


async def _read(
    channel: Channel, metadata: Metadata, choose: Callable[[Sequence[str]], Iterable[str]]
) -> Reflected:
    for version in _VERSIONS:
        try:
            return await _Reader(channel, metadata, version).read(choose)
        except RpcError as error:
            if error.status is not Status.UNIMPLEMENTED:
                raise
    raise RpcError(Status.UNIMPLEMENTED, "The backend offers no reflection.")


class _Reader:
    def __init__(self, channel: Channel, metadata: Metadata, version: str) -> None:
        self._channel = channel
        self._metadata = metadata
        self._method = Method(
            f"/{version}.ServerReflection/ServerReflectionInfo",
            ServerReflectionRequest,
            ServerReflectionResponse.FromString,
        )
        self._files: dict[str, FileDescriptorProto] = {}
        self._undescribed: list[str] = []
        self._bytes = 0

    async def read(self, choose: Callable[[Sequence[str]], Iterable[str]]) -> Reflected:
        listed = await self._ask([ServerReflectionRequest(list_services="*")])
        services = sorted(
            service.name
            for response in listed
            for service in response.list_services_response.service
        )
        wanted = [ServerReflectionRequest(file_containing_symbol=name) for name in choose(services)]
        asked: set[str] = set()
        while wanted:
            for response in await self._ask(wanted):
                self._keep(response)
            imported = {name for file in self._files.values() for name in file.dependency}
            missing = imported - asked - set(self._files)
            asked |= missing
            wanted = [ServerReflectionRequest(file_by_filename=name) for name in sorted(missing)]
        return Reflected(services, list(self._files.values()), self._undescribed)

    def _keep(self, response: ServerReflectionResponse) -> None:
        if response.HasField("error_response"):
            # A file that is missing is missed when the schema is built.
            symbol = response.original_request.file_containing_symbol
            self._undescribed += [symbol] if symbol else []
        for raw in response.file_descriptor_response.file_descriptor_proto:
            file = _parsed(raw)
            self._files[file.name] = file

    async def _ask(
        self, requests: Sequence[ServerReflectionRequest]
    ) -> Sequence[ServerReflectionResponse]:
        call = self._channel.stream(self._method, requests, self._metadata, deadline=None)
        found: list[ServerReflectionResponse] = []
        try:
            async for responses in call:
                found += responses
                self._bytes += sum(response.ByteSize() for response in responses)
                self._check(len(found), len(requests))
        finally:
            call.cancel()
        return found

    def _check(self, answers: int, questions: int) -> None:
        if answers > questions:
            raise RpcError(Status.INTERNAL, cause="the backend answers more than it was asked")
        if self._bytes > _MOST_BYTES:
            cause = f"the backend's schema is larger than {_MOST_BYTES >> 20} MiB"
            raise RpcError(Status.RESOURCE_EXHAUSTED, cause=cause)


def _parsed(raw: bytes) -> FileDescriptorProto:
    try:
        file = FileDescriptorProto.FromString(raw)
    except DecodeError as error:
        cause = f"a descriptor that the backend sent can't be read: {error}"
        raise RpcError(Status.INTERNAL, cause=cause) from None
    # Of what isn't UTF-8, protobuf makes bytes.
    if not all(isinstance(name, str) for name in (file.name, *file.dependency)):
        cause = "a descriptor that the backend sent has the name of a file that isn't UTF-8"
        raise RpcError(Status.INTERNAL, cause=cause)
    return file
