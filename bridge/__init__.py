"""A gRPC-to-SSE bridge."""

__version__ = "0.1.0"
