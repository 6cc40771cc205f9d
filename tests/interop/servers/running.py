"""A server that runs, and what it is started with."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import trustme

from tests.interop.schema import DESCRIPTORS, OUR_PROTOS, PROTO
from tests.processes import ServerProcess

HOST = "127.0.0.1"

# A call with this metadata goes, behind a proxy, to an upstream that isn't there.
UPSTREAM = "x-interop-upstream"
NOWHERE = "nowhere"


class Files:
    """What servers are started with, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority = trustme.CA()
        issued = authority.issue_cert(HOST)
        self.ca = authority.cert_pem.bytes()
        self.certificate = folder / "server.pem"
        self.key = folder / "server.key"
        self.descriptors = folder / "descriptors"
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)
        self.descriptors.write_bytes(DESCRIPTORS)

    @property
    def arguments(self) -> str:
        """What stands on the command line of each server of the service."""
        return json.dumps(
            {
                "certificate": str(self.certificate),
                "key": str(self.key),
                "protos": [str(PROTO.parent), str(OUR_PROTOS)],
                "descriptors": str(self.descriptors),
            }
        )


@dataclass(frozen=True)
class Running:
    """A server that runs.

    Attributes:
        process: It, or the proxy.
        service: The process of the service, which tells what it sees; behind a proxy another one.
        version: Of the server.
        address: Where it listens.
        tls: Where it listens with TLS.
        compressing: Where it compresses all it sends, if it can't choose for each response.
        graceful: The signal that lets it end when what is open has ended.
    """

    process: ServerProcess
    service: ServerProcess
    version: str
    address: str
    tls: str
    compressing: str | None = None
    graceful: int = signal.SIGTERM

    @classmethod
    async def listening(cls, process: ServerProcess) -> Running:
        """Wait until a server of the service listens."""
        told = await process.logged("listening")
        return cls(process, process, **{key: told[key] for key in told.keys() - {"event"}})

    async def saw(self, event: str, call: str) -> dict[str, Any]:
        """Wait until the service has told of ``event`` of the call that sent ``call``."""
        return await self.service.logged(event, 10, lambda record: record.get("call") == call)

    async def finish(self) -> None:
        """Let it end when what is open has ended."""
        self.process.process.send_signal(self.graceful)

    async def kill(self) -> None:
        """End it and the processes that it has started, with no goodbye."""
        with suppress(psutil.NoSuchProcess):
            killed = psutil.Process(self.process.process.pid)
            for process in [killed, *killed.children(recursive=True)]:
                process.kill()
        await self.process.wait()
