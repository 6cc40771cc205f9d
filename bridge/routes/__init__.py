"""The HTTP routes: each reads a request and hands it on."""
