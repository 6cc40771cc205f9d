"""All that knows gRPC's transport: channels, calls, metadata. Nothing else imports ``grpc``."""

from bridge.upstream.backends import Backends
from bridge.upstream.call import Call, Channel, Metadata, Method, RpcError

__all__ = ["Backends", "Call", "Channel", "Metadata", "Method", "RpcError"]
