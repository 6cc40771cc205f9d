"""gRPC's interop test service, compiled from test.proto when this is imported."""

from __future__ import annotations

import importlib.resources
import tempfile
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from grpc_tools import protoc

import protos
from bridge.upstream.call import Method

PROTO = Path(__file__).parent / "test.proto"
SERVICE = "grpc.testing.TestService"
OUR_PROTOS = Path(protos.__file__).parent
_GOOGLE_APIS = Path(status_pb2.__file__).parents[2]

COMPLETION_PROTO = "completion/v1/completion.proto"
_STATUS = "google/rpc/status.proto"
_WELL_KNOWN = importlib.resources.files("grpc_tools") / "_proto"


def run_protoc(*outputs: str, files: tuple[str, ...] = (PROTO.name,)) -> None:
    """Run protoc on the service.

    Args:
        outputs: What to make, and where.
        files: What to make it of; may be ours and Google's common protos, too.
    """
    paths = [f"-I{path}" for path in (PROTO.parent, OUR_PROTOS, _GOOGLE_APIS, _WELL_KNOWN)]
    failed = protoc.main(["protoc", *paths, *outputs, *files])
    assert not failed, f"protoc refused {files}; it has said why"


def _compile() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "descriptors"
        files = (PROTO.name, _STATUS, COMPLETION_PROTO)
        run_protoc("--include_imports", f"--descriptor_set_out={output}", files=files)
        return output.read_bytes()


# A FileDescriptorSet of the service, of ours, and of google.rpc.Status.
DESCRIPTORS = _compile()

_pool = DescriptorPool()
for _file in FileDescriptorSet.FromString(DESCRIPTORS).file:
    _pool.Add(_file)


def _message(name: str) -> Any:
    return GetMessageClass(_pool.FindMessageTypeByName(f"grpc.testing.{name}"))


Empty = _message("Empty")
BoolValue = _message("BoolValue")
Payload = _message("Payload")
EchoStatus = _message("EchoStatus")
SimpleRequest = _message("SimpleRequest")
SimpleResponse = _message("SimpleResponse")
ResponseParameters = _message("ResponseParameters")
StreamingOutputCallRequest = _message("StreamingOutputCallRequest")
StreamingOutputCallResponse = _message("StreamingOutputCallResponse")

EMPTY_CALL: Method[Any, Any] = Method(f"/{SERVICE}/EmptyCall", Empty, Empty.FromString)
UNARY_CALL: Method[Any, Any] = Method(
    f"/{SERVICE}/UnaryCall", SimpleRequest, SimpleResponse.FromString
)
STREAMING_OUTPUT_CALL: Method[Any, Any] = Method(
    f"/{SERVICE}/StreamingOutputCall",
    StreamingOutputCallRequest,
    StreamingOutputCallResponse.FromString,
)
UNIMPLEMENTED_METHOD: Method[Any, Any] = Method(
    f"/{SERVICE}/UnimplementedCall", Empty, Empty.FromString
)
UNIMPLEMENTED_SERVICE: Method[Any, Any] = Method(
    "/grpc.testing.UnimplementedService/UnimplementedCall", Empty, Empty.FromString
)
