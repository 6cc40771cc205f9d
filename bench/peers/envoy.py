"""Envoy's gRPC-JSON transcoder, as its documentation says, with Server-Sent Events.

https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/grpc_json_transcoder_filter
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import trades
from bench.descriptors import COMPLETION, TRADES, write_descriptors

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_HTTP = f"{_EXTENSIONS}.filters.http"
ANY_NUMBER = 1_000_000

# https://www.envoyproxy.io/docs/envoy/latest/configuration/best_practices/edge. The buffers of
# 32 KB that it recommends, too, cut streams whose messages don't fit into them, since the
# transcoder takes a message whole: they stay at 1 MB.
_HTTP2 = {"initial_stream_window_size": 65_536, "initial_connection_window_size": 1_048_576}


def write_config(directory: Path, port: int, backend: str) -> Path:
    """Write the configuration, and the descriptors that it needs, into ``directory``.

    Args:
        directory: Where there is room.
        port: Where Envoy shall listen.
        backend: ``host:port``.

    Returns:
        The path of the configuration.
    """
    descriptors = directory / "envoy.pb"
    write_descriptors(descriptors, COMPLETION, TRADES)
    path = directory / f"envoy-{port}.json"
    path.write_text(json.dumps(_config(port, backend, descriptors), indent=2))
    return path


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _config(port: int, backend: str, descriptors: Path) -> dict[str, Any]:
    host, _, backend_port = backend.rpartition(":")
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "sse",
                    "address": _address("127.0.0.1", port),
                    "filter_chains": [{"filters": [_connection_manager(descriptors)]}],
                }
            ],
            "clusters": [_cluster(host, int(backend_port))],
        }
    }


def _connection_manager(descriptors: Path) -> dict[str, Any]:
    route = {
        "match": {"prefix": "/"},
        # A stream may be as long as it is, and as silent.
        "route": {"cluster": "backend", "timeout": "0s"},
    }
    manager = "filters.network.http_connection_manager.v3.HttpConnectionManager"
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.{manager}",
            "stat_prefix": "sse",
            "codec_type": "HTTP1",
            "stream_idle_timeout": "0s",
            "route_config": {
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]
            },
            "http_filters": [
                {
                    "name": "envoy.filters.http.grpc_json_transcoder",
                    "typed_config": {
                        "@type": f"{_HTTP}.grpc_json_transcoder.v3.GrpcJsonTranscoder",
                        "proto_descriptor": str(descriptors),
                        "services": ["completion.v1.CompletionService", trades.SERVICE],
                        "auto_mapping": True,
                        "print_options": {"stream_sse_style_delimited": True},
                    },
                },
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{_HTTP}.router.v3.Router"},
                },
            ],
        },
    }


def _cluster(host: str, port: int) -> dict[str, Any]:
    limits = ("max_connections", "max_pending_requests", "max_requests")
    options = "upstreams.http.v3.HttpProtocolOptions"
    endpoint = {"endpoint": {"address": _address(host, port)}}
    return {
        "name": "backend",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [dict.fromkeys(limits, ANY_NUMBER)]},
        "typed_extension_protocol_options": {
            f"envoy.extensions.{options}": {
                "@type": f"{_EXTENSIONS}.{options}",
                "explicit_http_config": {"http2_protocol_options": _HTTP2},
            }
        },
        "load_assignment": {
            "cluster_name": "backend",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
