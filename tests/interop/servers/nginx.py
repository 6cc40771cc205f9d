"""nginx in front of a server."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.conftest import eventually, free_port
from tests.interop.servers.running import HOST, NOWHERE, UPSTREAM, Files, Running
from tests.processes import logging_process

_CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    # After so many it says GOAWAY.
    keepalive_requests 100;
    grpc_read_timeout 1h;
    map ${header} $upstream {{ default {backend}; {name} {nowhere}; }}
    server {{
        listen {plain} http2;
        listen {tls} http2 ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location / {{ grpc_pass grpc://$upstream; }}
    }}
}}
"""


@asynccontextmanager
async def nginx(files: Files, backend: Running, nowhere: str) -> AsyncIterator[Running]:
    """Run nginx in front of ``backend``; nobody listens at ``nowhere``."""
    executable = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert executable, "these tests need nginx: apt-get install nginx-light"
    version = await _version(executable)
    plain, tls = (f"{HOST}:{free_port()}" for _ in range(2))
    folder = Path(tempfile.mkdtemp(dir=files.folder))
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder,
            # Otherwise its workers, which are nobody, can't write to the folder.
            user="user root;" if os.geteuid() == 0 else "",
            header=f"http_{UPSTREAM.replace('-', '_')}",
            name=NOWHERE,
            backend=backend.address,
            nowhere=nowhere,
            plain=plain,
            tls=tls,
            certificate=files.certificate,
            key=files.key,
        )
    )
    command = (executable, "-c", str(configuration), "-e", "stderr")
    async with logging_process(*command) as process:
        # The file is written when nginx listens.
        await eventually((folder / "pid").exists, 20)
        running = Running(process, backend.service, version, plain, tls, graceful=signal.SIGQUIT)
        try:
            yield running
        finally:
            # Killed, it would leave its worker behind.
            await running.kill()


async def _version(executable: str) -> str:
    process = await asyncio.create_subprocess_exec(executable, "-v", stderr=asyncio.subprocess.PIPE)
    _, told = await process.communicate()
    return told.decode().strip().rpartition("/")[2]
