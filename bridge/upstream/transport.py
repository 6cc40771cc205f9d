"""Which transport speaks to the backends."""

from __future__ import annotations

from typing import Literal

from bridge.upstream.call import Connect

Transport = Literal["native", "grpcio"]


def transport(name: Transport) -> Connect:
    """Return what makes channels. The one that isn't chosen is not loaded: gRPC's core is large."""
    if name == "native":
        from bridge.upstream import native

        return native.connect
    from bridge.upstream import grpcio

    return grpcio.connect
