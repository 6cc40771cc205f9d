"""All that knows gRPC's transport: channels, calls, metadata. Nothing else imports ``grpc``."""

from bridge.upstream.backends import UNSEEN_TRIES, Backends
from bridge.upstream.call import Call, Channel, Metadata, Method, RpcError

__all__ = ["UNSEEN_TRIES", "Backends", "Call", "Channel", "Metadata", "Method", "RpcError"]
