"""A server that reads slowly, and speaks meanwhile, gets a large request whole."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded
from h2.settings import SettingCodes

from bridge.upstream.address import Endpoint
from bridge.upstream.transport import Transport
from tests.bridge.handled import OpenCalls
from tests.interop.client import OPTIONS
from tests.interop.schema import UNARY_CALL, Payload, SimpleRequest, SimpleResponse
from tests.interop.transports import TRANSPORTS

REQUEST_BYTES = 6 << 20
WINDOW = 8 << 20
EMPTY_MESSAGE = bytes(5)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = H2Connection(H2Configuration(client_side=False))
    connection.initiate_connection()
    connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: WINDOW})
    connection.increment_flow_control_window(WINDOW)
    writer.write(connection.data_to_send())
    while data := await reader.read(1 << 16):
        for event in connection.receive_data(data):
            if isinstance(event, DataReceived):
                connection.ping(b"are you?")
            elif isinstance(event, StreamEnded):
                headers = [(":status", "200"), ("content-type", "application/grpc")]
                connection.send_headers(event.stream_id, headers)
                connection.send_data(event.stream_id, EMPTY_MESSAGE)
                connection.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)
        writer.write(connection.data_to_send())
    writer.close()


@asynccontextmanager
async def slow_reader() -> AsyncIterator[str]:
    """Serve, with little room for what has come and isn't read yet."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    served: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(_answer(reader, writer)))

    async with await asyncio.start_server(accept, sock=listener):
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        for task in served:
            with suppress(ConnectionError):
                await task


async def test_a_server_may_take_its_time_to_read_a_large_request(transport: Transport) -> None:
    request = SimpleRequest(payload=Payload(body=bytes(REQUEST_BYTES)))
    async with slow_reader() as address:
        channel = TRANSPORTS[transport](Endpoint(address, address), OPTIONS, None, OpenCalls())
        try:
            assert await channel.unary(UNARY_CALL, request, deadline=20) == SimpleResponse()
        finally:
            await channel.close()
