"""TLS with ALPN, as HTTP/2 wants it (RFC 9113, section 3.2)."""

from __future__ import annotations

import ssl
import tempfile

from bridge.upstream.credentials import Tls

PROTOCOL = "h2"


def context(tls: Tls) -> ssl.SSLContext:
    """Return what connections to a backend are made with."""
    # Python takes PEM as ASCII only, and a comment in it may be anything.
    authorities = None if tls.ca is None else tls.ca.decode("ascii", errors="ignore")
    made = ssl.create_default_context(cadata=authorities)
    made.set_alpn_protocols([PROTOCOL])
    if tls.certificate is not None:
        # OpenSSL could read it from memory, but Python's ssl can't:
        # https://github.com/python/cpython/issues/60691
        with tempfile.NamedTemporaryFile() as file:
            file.write(tls.certificate + b"\n" + (tls.key or b""))
            file.flush()
            made.load_cert_chain(file.name)
    return made
