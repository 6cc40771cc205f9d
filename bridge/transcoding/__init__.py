"""Any gRPC service as HTTP: by the rules of ``google.api.http``, or by its methods' names."""
