"""Asks a backend for its schema.

https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from bridge.status import Status
from bridge.upstream.call import Channel, Metadata, Method, RpcError

# The messages of the two are the same.
_VERSIONS = ("grpc.reflection.v1", "grpc.reflection.v1alpha")

_DEADLINE_SECONDS = 10.0


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
    channel: Channel, metadata: Metadata, choose: Callable[[Sequence[str]], Iterable[str]]
) -> Reflected:
    """Return what the backend at the other end of a channel tells of itself.

    Args:
        channel: To the backend.
        metadata: What proves who asks.
        choose: Returns of all services those whose files are wanted.

    Raises:
        RpcError: it can't be reached, offers no reflection (UNIMPLEMENTED), or sends what is no
            descriptor.
    """
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

    async def read(self, choose: Callable[[Sequence[str]], Iterable[str]]) -> Reflected:
        listed = await self._ask([ServerReflectionRequest(list_services="*")])
        services = sorted(
            service.name
            for response in listed
            for service in response.list_services_response.service
        )
        wanted = [ServerReflectionRequest(file_containing_symbol=name) for name in choose(services)]
        while wanted:
            for response in await self._ask(wanted):
                self._keep(response)
            asked = {request.file_by_filename for request in wanted}
            missing = {name for file in self._files.values() for name in file.dependency}
            wanted = [
                ServerReflectionRequest(file_by_filename=name)
                for name in sorted(missing - asked - set(self._files))
            ]
        return Reflected(services, list(self._files.values()), self._undescribed)

    def _keep(self, response: ServerReflectionResponse) -> None:
        if response.HasField("error_response"):
            # A file that is missing is missed when the schema is built.
            symbol = response.original_request.file_containing_symbol
            self._undescribed += [symbol] if symbol else []
        for raw in response.file_descriptor_response.file_descriptor_proto:
            try:
                file = FileDescriptorProto.FromString(raw)
            except DecodeError as error:
                cause = f"a descriptor that the backend sent can't be read: {error}"
                raise RpcError(Status.INTERNAL, cause=cause) from None
            self._files[file.name] = file

    async def _ask(
        self, requests: Sequence[ServerReflectionRequest]
    ) -> Sequence[ServerReflectionResponse]:
        call = self._channel.stream(
            self._method, requests, self._metadata, deadline=_DEADLINE_SECONDS
        )
        try:
            return [response async for responses in call for response in responses]
        finally:
            call.cancel()
