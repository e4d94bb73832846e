"""Who may use the server, and whether anyone can listen in: TLS, a bearer token, secrets from files."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from diffusion_toy.errors import DiffusionToyError

SECRET_BYTES_MAX = 4096
OPEN_METHODS = "/grpc.health.v1.Health/"  # what a load balancer asks, which has no token
REFUSAL = (
    "this server needs a bearer token, and {problem}; give the viewer the right one with --token or in the "
    "environment variable DIFFUSION_TOY_TOKEN (metadata: authorization: Bearer TOKEN)"
)


class SecurityError(DiffusionToyError):
    """The server would be open to strangers, or a certificate, key or secret cannot be used."""


@dataclass(frozen=True)
class ServerSecurity:
    """What protects a server.

    `tls_cert` and `tls_key` are PEM files, both or neither. `bearer_token` is what clients have to
    know. `insecure` allows a server without either on a network.

    Raises:
        SecurityError: a certificate without a key or the reverse, or a token that no header can carry.
    """

    tls_cert: Path | None = None
    tls_key: Path | None = None
    bearer_token: str | None = field(default=None, repr=False)
    insecure: bool = False

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            given, missing = (
                ("--tls-cert", "--tls-key") if self.tls_key is None else ("--tls-key", "--tls-cert")
            )
            raise SecurityError(f"{given} needs {missing} as well: TLS takes a certificate and its key")
        if self.bearer_token is not None and not re.fullmatch(r"[!-~]+", self.bearer_token):
            raise SecurityError(
                "the bearer token in --token-file has characters that a header cannot carry; "
                "use ASCII letters, digits and punctuation, without blanks"
            )


def read_secret(path: Path, what: str, minimum: int = 1) -> bytes:
    """A secret from a file, without the line ends at its end.

    Args:
        path: the file.
        what: how errors name it, as the flag that gave the path.
        minimum: the least length, bytes.

    Raises:
        SecurityError: the file cannot be read, or is empty, too short or larger than 4 KiB.
    """
    try:
        with path.open("rb") as file:
            content = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise SecurityError(f"{what}: {path} cannot be read ({error.strerror or error})") from error
    if len(content) > SECRET_BYTES_MAX:
        raise SecurityError(f"{what}: {path} is larger than {SECRET_BYTES_MAX} bytes; is it the right file?")
    secret = content.rstrip(b"\r\n")
    if not secret.strip():
        raise SecurityError(f"{what}: {path} is empty; write a secret into it: openssl rand -hex 32 > {path}")
    if len(secret) < minimum:
        raise SecurityError(
            f"{what}: {path} holds {len(secret)} bytes and at least {minimum} are needed; "
            f"write a longer secret: openssl rand -hex 32 > {path}"
        )
    return secret


def read_token(path: Path) -> str:
    """The bearer token in a file.

    Raises:
        SecurityError: as `read_secret`.
    """
    return read_secret(path, "--token-file").decode("ascii", "replace")  # ServerSecurity refuses the rest


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`, an address or a name.

    Raises:
        SecurityError: the name is unknown.
    """
    try:
        infos = socket.getaddrinfo(
            host.strip("[]") or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SecurityError(
            f"cannot listen on {host} ({reason}); give --host an address or a name"
        ) from error
    return all(_loopback_address(str(info[4][0])) for info in infos)


def _loopback_address(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def check_binding(host: str, security: ServerSecurity) -> str | None:
    """See that strangers cannot use the server, unless somebody has said that they may.

    Returns:
        A warning for the log, if the server is reachable from other machines and less than safe.

    Raises:
        SecurityError: other machines can reach `host`, with neither TLS nor a bearer token.
    """
    if is_loopback(host) or security.tls_cert is not None:
        return None
    if security.bearer_token is not None:
        return (
            f"--host {host} is reachable from other machines without TLS: who can listen to the network "
            "reads the bearer token and the pictures; add --tls-cert and --tls-key"
        )
    if security.insecure:
        return f"--host {host} is open to everyone who can reach it: --insecure, no TLS and no bearer token"
    raise SecurityError(
        f"--host {host} is reachable from other machines; add --tls-cert and --tls-key (encryption), "
        "or --token-file (only who knows the token), or --insecure (anyone may use it)"
    )


def server_credentials(security: ServerSecurity) -> grpc.ServerCredentials | None:
    """The TLS credentials to listen with; None without TLS.

    Raises:
        SecurityError: a file is missing or not PEM, or the key is not the certificate's.
    """
    if security.tls_cert is None or security.tls_key is None:
        return None
    certificate = _read_pem(security.tls_cert, "--tls-cert", rb"CERTIFICATE")
    key = _read_pem(security.tls_key, "--tls-key", rb"(?:[A-Z]+ )?PRIVATE KEY")
    if b"ENCRYPTED" in key:
        raise SecurityError(
            f"--tls-key {security.tls_key} is encrypted; decrypt it: openssl pkey -in {security.tls_key} "
            "-out FILE, and protect that file by its permissions"
        )
    try:  # gRPC itself would only fail at the first handshake, in its own log
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(security.tls_cert, security.tls_key, "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"--tls-key {security.tls_key} is not the key of --tls-cert {security.tls_cert}"
            raise SecurityError(f"{text}; give the two that were made together") from error
        raise SecurityError(
            f"--tls-cert {security.tls_cert} and --tls-key {security.tls_key} cannot be used "
            f"({error.reason or error}); see: openssl x509 -text -noout -in {security.tls_cert}"
        ) from error
    return grpc.ssl_server_credentials([(key, certificate)])


def _read_pem(path: Path, flag: str, kind: bytes) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SecurityError(f"{flag} {path} cannot be read ({error.strerror or error})") from error
    if not re.search(rb"-----BEGIN " + kind + rb"-----", content):
        wanted = "certificate" if flag == "--tls-cert" else "private key"
        raise SecurityError(f"{flag} {path} has no {wanted} in PEM format (-----BEGIN …-----)")
    return content


class BearerInterceptor(grpc.aio.ServerInterceptor):
    """Ends every call without `authorization: Bearer TOKEN` with UNAUTHENTICATED, but health checks.

    Args:
        token: what clients have to know.
        on_refused: called for each call that is ended.
    """

    def __init__(self, token: str, on_refused: Callable[[], object] = lambda: None) -> None:
        self._token = token.encode()
        self._on_refused = on_refused
        # A stream's handler, since it does not wait for a request; what the client sees is the same.
        self._missing, self._wrong = (
            grpc.stream_stream_rpc_method_handler(_refuse(REFUSAL.format(problem=problem)))
            for problem in ("the call has none", "the call has another one")
        )

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """The method's own handler, or one that refuses."""
        if handler_call_details.method.startswith(OPEN_METHODS):
            return await continuation(handler_call_details)
        given = [
            _bearer(value)
            for key, value in handler_call_details.invocation_metadata
            if key == "authorization"
        ]
        if any(hmac.compare_digest(token, self._token) for token in given if token is not None):
            return await continuation(handler_call_details)
        self._on_refused()
        return self._wrong if given else self._missing


def _bearer(value: str | bytes) -> bytes | None:
    """The token of an `authorization` header; None if it is of another scheme."""
    content = value.encode("utf-8", "replace") if isinstance(value, str) else value
    scheme, _, token = content.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


def _refuse(text: str) -> Callable[..., Awaitable[None]]:
    async def refuse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, text)

    return refuse
