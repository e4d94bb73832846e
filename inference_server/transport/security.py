"""Who may use the server, and whether anyone can listen in: where it may listen, and TLS."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from diffusion_toy.errors import DiffusionToyError
from inference_server.transport.addresses import is_loopback

EXPIRED, NOT_YET_VALID = 10, 9  # of OpenSSL's X509_V_ERR_…


class SecurityError(DiffusionToyError):
    """The server would be open to strangers, or a certificate or key cannot be used."""


@dataclass(frozen=True)
class ServerSecurity:
    """What protects a server.

    `tls_cert` and `tls_key` are PEM files, both or neither. `bearer_token` is what clients have to
    know, "" for nothing. `insecure` allows a server without either on a network.

    Raises:
        SecurityError: a certificate without a key or the reverse.
    """

    tls_cert: Path | None = None
    tls_key: Path | None = None
    bearer_token: str = field(default="", repr=False)
    insecure: bool = False

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            given, missing = (
                ("--tls-cert", "--tls-key") if self.tls_key is None else ("--tls-key", "--tls-cert")
            )
            raise SecurityError(f"{given} needs {missing} as well: TLS takes a certificate and its key")


def check_binding(host: str, security: ServerSecurity) -> str | None:
    """See that strangers cannot use the server, unless somebody has said that they may.

    Returns:
        A warning for the log, if the server is reachable from other machines and less than safe.

    Raises:
        SecurityError: other machines can reach `host`, with neither TLS nor a bearer token.
    """
    if is_loopback(host) or security.tls_cert is not None:
        return None
    if security.bearer_token:
        return (
            f"--host {host} is reachable from other machines without TLS: who can listen to the network "
            "reads the bearer token and the pictures; add --tls-cert and --tls-key"
        )
    if security.insecure:
        return f"--host {host} is open to everyone who can reach it: --insecure, no TLS and no bearer token"
    raise SecurityError(
        f"--host {host} is reachable from other machines; add --tls-cert and --tls-key (encryption), "
        "or --token-file or --make-token (only who knows the token), or --insecure (anyone may use it)"
    )


def tls_context(security: ServerSecurity) -> ssl.SSLContext | None:
    """Return the TLS context to listen with, for TLS 1.2 and above; None without TLS.

    Raises:
        SecurityError: a file is missing or not PEM, or the key is not the certificate's.
    """
    if security.tls_cert is None or security.tls_key is None:
        return None
    _read_pem(security.tls_cert, "--tls-cert", rb"CERTIFICATE")
    key = _read_pem(security.tls_key, "--tls-key", rb"(?:[A-Z]+ )?PRIVATE KEY")
    if b"ENCRYPTED" in key:
        raise SecurityError(
            f"--tls-key {security.tls_key} is encrypted; decrypt it: openssl pkey -in {security.tls_key} "
            "-out FILE, and protect that file by its permissions"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(security.tls_cert, security.tls_key, "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"--tls-key {security.tls_key} is not the key of --tls-cert {security.tls_cert}"
            raise SecurityError(f"{text}; give the two that were made together") from error
        raise SecurityError(
            f"--tls-cert {security.tls_cert} and --tls-key {security.tls_key} cannot be used "
            f"({error.reason or error}); see: openssl x509 -text -noout -in {security.tls_cert}"
        ) from error
    return context


def grpc_credentials(security: ServerSecurity) -> grpc.ServerCredentials | None:
    """Return the TLS credentials for gRPC; None without TLS.

    Raises:
        SecurityError: as `tls_context`; gRPC itself would only fail at the first handshake, in its own log.
    """
    if tls_context(security) is None:
        return None
    assert security.tls_cert is not None
    assert security.tls_key is not None
    return grpc.ssl_server_credentials([(security.tls_key.read_bytes(), security.tls_cert.read_bytes())])


def certificate_warning(security: ServerSecurity) -> str | None:
    """Return a warning of a certificate whose time is over or has not come; None if it is valid.

    It is no error: the clock of this machine may be the one that is wrong.

    Raises:
        SecurityError: as `tls_context`.
    """
    context = tls_context(security)
    if context is None:
        return None
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(security.tls_cert)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # trust this very certificate, whoever signed it
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = context.wrap_bio(outward, inward, server_side=True)
    theirs = client.wrap_bio(inward, outward)
    waiting = {ours, theirs}
    try:
        for one in (theirs, ours) * 4:
            if one in waiting:
                try:
                    one.do_handshake()
                    waiting.discard(one)
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError as error:
        faults = {EXPIRED: "has expired", NOT_YET_VALID: "is not valid yet, by the clock of this machine"}
        if (fault := faults.get(error.verify_code)) is not None:
            see = f"openssl x509 -dates -noout -in {security.tls_cert}"
            return f"--tls-cert {security.tls_cert} {fault}: viewers will refuse it; its dates: {see}"
    except ssl.SSLError:  # what else is wrong with it is for clients to say
        return None
    return None


def _read_pem(path: Path, flag: str, kind: bytes) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SecurityError(f"{flag} {path} cannot be read ({error.strerror or error})") from error
    if not re.search(rb"-----BEGIN " + kind + rb"-----", content):
        wanted = "certificate" if flag == "--tls-cert" else "private key"
        raise SecurityError(f"{flag} {path} has no {wanted} in PEM format (-----BEGIN …-----)")
    return content
