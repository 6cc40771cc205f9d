"""The transport of our own: gRPC over HTTP/2 on the event loop's own thread."""

from __future__ import annotations

from bridge.upstream.native.channel import connect

__all__ = ["connect"]
