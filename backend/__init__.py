"""A gRPC backend for the bridge: completions by a local model, an HTTP upstream, or a script."""
