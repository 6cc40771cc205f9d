"""What the transport on gRPC's own client does by itself."""

from dataclasses import replace

import pytest

from bridge.status import Status
from bridge.upstream.address import Endpoint
from bridge.upstream.call import RpcError
from bridge.upstream.completion import STREAM_COMPLETION
from bridge.upstream.grpcio import connect
from protos.completion.v1.completion_pb2 import StreamCompletionRequest, StreamCompletionResponse
from tests.bridge.stepped import serving_stepped
from tests.bridge.test_native_channel import DEADLINE, OPTIONS, Observer, collect


async def test_a_message_that_tells_of_an_error_ends_its_call() -> None:
    def parse(raw: bytes) -> StreamCompletionResponse:
        raise RpcError(Status.RESOURCE_EXHAUSTED, "no more")

    observer = Observer()
    async with serving_stepped() as stepped:
        channel = connect(Endpoint(stepped.address, stepped.address), OPTIONS, None, observer)
        try:
            method = replace(STREAM_COMPLETION, parse=parse)
            call = channel.stream(method, (StreamCompletionRequest(),), deadline=DEADLINE)
            await stepped.send(b"")
            with pytest.raises(RpcError, match="no more"):
                await collect(call)
            assert observer.failures == [Status.RESOURCE_EXHAUSTED]
        finally:
            await channel.close()
