"""Where a server is and how to reach it, as a user writes it."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from diffusion_toy.errors import InvalidValueError

EXAMPLE = "for example localhost:50051"
PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")  # those that gRPC would go by
_PROXY = re.compile(r"http://(?P<user>[^@/\s]+@)?(?P<host>[^@/\s]+?)/?")
_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?\]")


class AddressError(InvalidValueError):
    """Not the address of a server; the text says what is wrong with it."""

    def __init__(self, flag: str, text: str, problem: str, limit: str) -> None:
        super().__init__(flag, text, limit)
        self.args = (f"{flag} {text!r} {problem}; it has the form HOST:PORT, {EXAMPLE}",)


def parse_address(text: str, flag: str = "--server") -> str:
    """Check `HOST:PORT` (IPv6 as `[::1]:50051`) and return it without spaces around it.

    Raises:
        AddressError: not of that form, or the port is outside 1…65535.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host:
        raise AddressError(flag, text, "lacks a host or a port", "HOST:PORT")
    if ":" in host and not host.startswith("["):
        remedy = f"is an IPv6 address without brackets: write [{host}]:{port}"
        raise AddressError(flag, text, remedy, "HOST:PORT")
    if not _HOST.fullmatch(host):
        raise AddressError(flag, text, "does not name a host", "HOST:PORT")
    if not re.fullmatch(r"-?[0-9]+", port):
        raise AddressError(flag, text, "has no number as its port", "1…65535")
    if not 1 <= int(port) <= 65535:
        raise AddressError(flag, text, f"has port {int(port)}, which is outside 1…65535", "1…65535")
    return f"{host}:{int(port)}"


def is_local(address: str) -> bool:
    """Say whether the address, `HOST:PORT`, is one by which this machine reaches itself."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def proxy_variable(environment: Mapping[str, str] = os.environ) -> str:
    """Return the environment variable that names a proxy, "" without one."""
    names = (name for one in PROXY_VARIABLES for name in (one, one.upper()))
    return next((name for name in names if environment.get(name)), "")


@dataclass(frozen=True)
class Endpoint:
    """A server, and what it takes to be let in.

    Attributes:
        address: HOST:PORT.
        tls: encrypt, and check the server's certificate.
        ca_file: PEM file of the authority that signed it, None for those that the system trusts.
        token: bearer token, "" for none. It is sent as it is: without `tls` anybody on the way reads it.
        proxy: HTTP proxy to go by, `http://[NAME:PASSWORD@]HOST:PORT`; "" goes straight to the server,
            whatever the environment says.

    Raises:
        InvalidValueError: no such file, or not a PEM file; a file without `tls`; a token with characters
            that a header cannot carry; not the address of a proxy.
    """

    address: str
    tls: bool = False
    ca_file: Path | None = None
    token: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.ca_file is not None and not self.tls:
            raise InvalidValueError("--tls-ca", self.ca_file, "the use without --tls", "add --tls")
        if not re.fullmatch(r"[!-~]*", self.token):
            raise InvalidValueError("--token", "(hidden)", "printable ASCII without spaces")
        if self.proxy:
            found = _PROXY.fullmatch(self.proxy)
            if not found:
                shown = re.sub(r"//[^/]*@", "//…@", self.proxy)  # a password is not for a log
                raise InvalidValueError("--proxy", shown, "the form http://HOST:PORT")
            parse_address(found["host"], "--proxy")
        self.root_certificates()

    def __str__(self) -> str:
        """Return where the server is and how it is reached, without secrets."""
        return f"{self.address} by the proxy {self.proxy_shown}" if self.proxy else self.address

    @property
    def proxy_shown(self) -> str:
        """Return HOST:PORT of the proxy, without the name and the password."""
        found = _PROXY.fullmatch(self.proxy)
        return found["host"] if found else ""

    def root_certificates(self) -> bytes | None:
        """Return the content of `ca_file`; None for the system's own."""
        if self.ca_file is None:
            return None
        try:
            content = self.ca_file.read_bytes()
        except OSError as error:
            what = f"a file that can be read ({error.strerror})"
            raise InvalidValueError("--tls-ca", self.ca_file, what) from error
        if b"-----BEGIN CERTIFICATE-----" not in content:
            raise InvalidValueError("--tls-ca", self.ca_file, "the form of a PEM certificate")
        return content

    @property
    def metadata(self) -> tuple[tuple[str, str], ...] | None:
        """Return what every call is sent with."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else None
