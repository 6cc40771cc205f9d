"""Envoy's gRPC-JSON transcoder before a backend, set to be as near to the bridge as it can."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from bridge.transcoding.formats import StreamFormat
from tests.conftest import eventually
from tests.processes import logging_process

HOST = "127.0.0.1"

_TYPES = "type.googleapis.com/envoy.extensions"
_TRANSCODER = f"{_TYPES}.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"
_CONNECTIONS = f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"

# What it does otherwise by default stands in docs/transcoding.md.
OPTIONS: Mapping[str, Any] = {
    "auto_mapping": True,
    "convert_grpc_status": True,
    "query_param_unescape_plus": True,
    "url_unescape_spec": "ALL_CHARACTERS_EXCEPT_SLASH",
    "request_validation_options": {
        "reject_unknown_method": True,
        "reject_unknown_query_parameters": True,
    },
}
# Envoy writes streams in one form, which a listener has; the bridge is asked for one.
_FORMATS: Mapping[StreamFormat, Mapping[str, bool]] = {
    StreamFormat.ARRAY: {},
    StreamFormat.NDJSON: {"stream_newline_delimited": True},
    StreamFormat.SSE: {"stream_newline_delimited": True, "stream_sse_style_delimited": True},
}


@asynccontextmanager
async def serving_envoy(
    folder: Path, backend: str, descriptors: Path, services: Sequence[str]
) -> AsyncIterator[Mapping[StreamFormat, str]]:
    """Run Envoy in front of ``backend``, and yield a URL for each form of a stream."""
    admin = folder / "envoy-admin"
    transcoder = {"proto_descriptor": str(descriptors), "services": list(services), **OPTIONS}
    command = (
        *(str(Path(sys.executable).parent / "envoy"), "--config-yaml"),
        json.dumps(_bootstrap(transcoder, backend)),
        *("--admin-address-path", str(admin), "--use-dynamic-base-id"),
        *("--concurrency", "1", "--log-level", "error"),
    )
    async with logging_process(*command):
        await eventually(lambda: admin.exists() and bool(admin.read_text()), 20)
        yield await _urls(f"http://{admin.read_text()}")


async def _urls(admin: str) -> Mapping[StreamFormat, str]:
    async with httpx.AsyncClient(base_url=admin) as http:
        told = (await http.get("/listeners?format=json")).json()["listener_statuses"]
    ports = {each["name"]: each["local_address"]["socket_address"]["port_value"] for each in told}
    return {form: f"http://{HOST}:{ports[form]}" for form in _FORMATS}


def _bootstrap(transcoder: Mapping[str, Any], backend: str) -> dict[str, Any]:
    return {
        "admin": {"address": _address(f"{HOST}:0")},
        "static_resources": {
            "listeners": [
                _listener(form, {**transcoder, "print_options": options})
                for form, options in _FORMATS.items()
            ],
            "clusters": [_cluster(backend)],
        },
    }


def _address(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _listener(name: str, transcoder: Mapping[str, Any]) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "backend"}}
    router = {"@type": f"{_TYPES}.filters.http.router.v3.Router"}
    manager = {
        "@type": _CONNECTIONS,
        "stat_prefix": name,
        "codec_type": "HTTP1",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "transcoder", "typed_config": {"@type": _TRANSCODER, **transcoder}},
            {"name": "router", "typed_config": router},
        ],
    }
    return {
        "name": name,
        "address": _address(f"{HOST}:0"),
        "filter_chains": [{"filters": [{"name": "connections", "typed_config": manager}]}],
    }


def _cluster(backend: str) -> dict[str, Any]:
    options = "upstreams.http.v3.HttpProtocolOptions"
    http2 = {
        "@type": f"{_TYPES}.{options}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": _address(backend)}}
    return {
        "name": "backend",
        "type": "STATIC",
        "typed_extension_protocol_options": {f"envoy.extensions.{options}": http2},
        "load_assignment": {
            "cluster_name": "backend",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
