"""What proves the backends to the bridge, and the bridge to the backends; read from files."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path


class CredentialsError(Exception):
    """A file of the credentials can't be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The contents of TLS's files, in PEM.

    Attributes:
        ca: The authorities that sign the backends' certificates; None for those that the
            transport trusts by itself.
        certificate: The bridge's certificate and its chain, for backends that ask for one (mTLS).
        key: The key of it.
    """

    ca: bytes | None
    certificate: bytes | None
    key: bytes | None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is sent to a backend: over TLS or not, and with which token."""

    tls: Tls | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class CredentialFiles:
    """Where the credentials are. The files may be replaced while the bridge runs.

    Attributes:
        tls: Whether to talk to the backends over TLS.
        ca: See ``Tls``.
        certificate: See ``Tls``.
        key: See ``Tls``.
        token: What is sent with each RPC as ``authorization: Bearer ...``; empty for nothing.
        token_file: A file that has it.
    """

    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token: str = ""
    token_file: Path | None = None

    def read(self) -> Credentials:
        """Read the files as they are now.

        Raises:
            CredentialsError: one of them can't be read, is no PEM, or the key is another
                certificate's; or the token can't be sent.
        """
        return Credentials(self._read_tls() if self.tls else None, self._read_token())

    def _read_token(self) -> str | None:
        raw = _read(self.token_file)
        if raw is not None:
            return _as_token(raw.decode("ascii", errors="replace"), str(self.token_file))
        if self.token:
            return _as_token(self.token, "BRIDGE_BACKEND_TOKEN (--backend-token)")
        return None

    def _read_tls(self) -> Tls:
        tls = Tls(_read(self.ca), _read(self.certificate), _read(self.key))
        # gRPC's core says of a bad file only that no connection can be made.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if tls.ca is not None:
                context.load_verify_locations(cadata=ascii_pem(tls.ca))
        except (ssl.SSLError, ValueError) as error:
            raise CredentialsError(f"{self.ca} has no certificates in PEM: {error}") from error
        try:
            load_certificate(context, tls)
        except OSError as error:
            raise CredentialsError(
                f"{self.certificate} and {self.key} can't be used as a certificate and its key in "
                f"PEM: {error}"
            ) from error
        return tls


def ascii_pem(pem: bytes) -> str:
    """Return ``pem`` as Python takes it: as ASCII. Only a comment in it may be anything else."""
    return pem.decode("ascii", errors="ignore")


def load_certificate(context: ssl.SSLContext, tls: Tls) -> None:
    """Make ``context`` show the bridge's certificate, if it has one.

    Raises:
        OSError: the certificate is none, or the key is another one's; or no temporary file can be
            written. (``ssl.SSLError`` is one.)
    """
    if tls.certificate is None:
        return
    # OpenSSL could read them from memory, but Python's ssl can't:
    # https://github.com/python/cpython/issues/60691
    with tempfile.NamedTemporaryFile() as certificate, tempfile.NamedTemporaryFile() as key:
        for file, pem in ((certificate, tls.certificate), (key, tls.key or b"")):
            file.write(pem)
            file.flush()
        context.load_cert_chain(certificate.name, key.name, password=_no_password)


def _no_password() -> bytes:
    # Without one, OpenSSL asks for it on the terminal.
    return b""


def _read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path is not None else None
    except OSError as error:
        raise CredentialsError(f"{path} can't be read: {error.strerror}") from error


def _as_token(text: str, source: str) -> str:
    token = text.strip()
    if not token.isprintable() or not token.isascii() or not token:
        raise CredentialsError(f"{source} has no token: one line of ASCII is expected")
    return token
