"""What is exposed, described in OpenAPI 3.1."""
