"""Parts of a body that are sent at once, and when they are not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bridge.direct_send import DirectSend, DirectSendServer, direct_send
from tests.conftest import eventually

START = {"type": "http.response.start", "status": 200, "headers": []}


class Application:
    """Answers with what the test sends by hand."""

    def __init__(self) -> None:
        self.direct: DirectSend | None = None
        self.send: Send | None = None
        self.finish = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        self.direct, self.send = direct_send(scope), send
        await self.finish.wait()
        await send({"type": "http.response.body"})


@asynccontextmanager
async def serving(
    application: Application, protocol: type[asyncio.Protocol] = HttpToolsProtocol
) -> AsyncIterator[int]:
    config = uvicorn.Config(
        DirectSendServer(application), port=0, http=protocol, lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())  # noqa: SLF001 - serve() takes the signals
    await eventually(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        application.finish.set()
        server.should_exit = True
        await running


@asynccontextmanager
async def asking(
    port: int, request: bytes = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(request)
    try:
        yield reader
    finally:
        writer.close()


async def started(application: Application) -> DirectSend:
    await eventually(lambda: application.send is not None)
    assert application.direct is not None
    return application.direct


async def test_a_part_is_one_chunk_between_those_of_send() -> None:
    application = Application()
    async with serving(application) as port, asking(port) as reader:
        direct = await started(application)
        assert application.send is not None
        assert direct.ready
        direct(b"one")
        await application.send({"type": "http.response.body", "body": b"two", "more_body": True})
        direct(b"x" * 17)
        application.finish.set()
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        chunks = b"3\r\none\r\n3\r\ntwo\r\n11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\n"
        assert await reader.readexactly(len(chunks)) == chunks


async def test_it_is_not_ready_while_the_client_reads_too_slowly() -> None:
    application = Application()
    part = b"x" * 65536
    async with serving(application) as port, asking(port) as reader:
        direct = await started(application)
        sent = 0
        while direct.ready:
            direct(part)
            sent += 1
        await reader.readuntil(b"\r\n\r\n")
        received = 0
        whole = sent * len(b"10000\r\n" + part + b"\r\n")
        while received < whole:
            received += len(await reader.read(65536))
        assert received == whole
        await eventually(lambda: direct.ready)


async def test_it_is_not_ready_when_the_client_is_gone() -> None:
    application = Application()
    async with serving(application) as port:
        async with asking(port):
            direct = await started(application)
        await eventually(lambda: not direct.ready)


async def test_it_is_never_ready_for_a_body_without_chunks() -> None:
    application = Application()
    request = b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n"
    async with serving(application) as port, asking(port, request):
        direct = await started(application)
        assert not direct.ready


async def test_there_is_none_where_uvicorn_speaks_through_h11() -> None:
    application = Application()
    async with serving(application, H11Protocol) as port, asking(port):
        await eventually(lambda: application.send is not None)
        assert application.direct is None
