"""What the servers in Python have in common: what they are told, and what they tell."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protos.completion.v1.completion_pb2 import StreamCompletionRequest, StreamCompletionResponse
from tests.interop.schema import Payload, SimpleResponse, StreamingOutputCallResponse

INITIAL = "x-grpc-test-echo-initial"
TRAILING = "x-grpc-test-echo-trailing-bin"
CALL = "x-interop-call"
DETAILS = "x-interop-status-details-bin"

MAX_CONCURRENT_STREAMS = 100


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a server is told, as JSON on its command line.

    Attributes:
        certificate: The path of a chain in PEM.
        key: That of its key.
        protos: The folders of test.proto and of completion/v1/completion.proto.
        descriptors: The path of the FileDescriptorSet.
    """

    certificate: str
    key: str
    protos: list[str]
    descriptors: str

    @classmethod
    def of_this_process(cls) -> Arguments:
        """Read the command line."""
        return cls(**json.loads(sys.argv[1]))

    @property
    def pair(self) -> tuple[bytes, bytes]:
        """The key and the certificate."""
        return Path(self.key).read_bytes(), Path(self.certificate).read_bytes()


def tell(event: str, **fields: Any) -> None:
    """Print an event for the test."""
    print(json.dumps({"event": event, **fields}), file=sys.stderr, flush=True)  # noqa: T201


class Asked:
    """What the metadata of a call asks for.

    Attributes:
        initial: What to send back as initial metadata.
        trailing: What to send back as trailing metadata.
        details: A serialized google.rpc.Status, to send with a status that isn't OK.
    """

    def __init__(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        given = dict(metadata)
        self.call = given.get(CALL)
        self.initial = {INITIAL: given[INITIAL]} if INITIAL in given else {}
        self.trailing = {TRAILING: given[TRAILING]} if TRAILING in given else {}
        self.details = given.get(DETAILS)

    def began(self, seconds_left: float | None) -> None:
        """Tell that the call began, if its client wants to know."""
        if self.call is not None:
            initial = self.initial.get(INITIAL)
            tell("began", call=self.call, initial=initial, seconds_left=seconds_left)

    def cancelled(self) -> None:
        """Tell that the client has cancelled the call, if it wants to know."""
        if self.call is not None:
            tell("cancelled", call=self.call)


def completion(request: StreamCompletionRequest) -> tuple[list[StreamCompletionResponse], bool]:
    """Return the responses of StreamCompletion, and whether it fails after them."""
    responses = [StreamCompletionResponse(index=i, text=text) for i, text in enumerate("ab")]
    return responses, request.model == "fails"


def unary_response(size: int) -> Any:
    """Return the response of UnaryCall whose payload has ``size`` bytes."""
    return SimpleResponse(payload=Payload(body=bytes(size)))


def stream_response(size: int) -> Any:
    """Return a response of StreamingOutputCall whose payload has ``size`` bytes."""
    return StreamingOutputCallResponse(payload=Payload(body=bytes(size)))
