"""All that knows gRPC's transport: channels, calls, metadata. Nothing else imports ``grpc``."""

from bridge.upstream.call import Call, Channel, Metadata, Method, RpcError
from bridge.upstream.grpcio import connect

__all__ = ["Call", "Channel", "Metadata", "Method", "RpcError", "connect"]
