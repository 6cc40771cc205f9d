"""TLS with ALPN, as HTTP/2 wants it (RFC 9113, section 3.2)."""

from __future__ import annotations

import ssl

from bridge.upstream.credentials import Tls, ascii_pem, load_certificate

PROTOCOL = "h2"


def context(tls: Tls) -> ssl.SSLContext:
    """Return what connections to a backend are made with."""
    made = ssl.create_default_context(cadata=None if tls.ca is None else ascii_pem(tls.ca))
    made.set_alpn_protocols([PROTOCOL])
    load_certificate(made, tls)
    return made
