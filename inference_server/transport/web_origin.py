"""Which pages may use the server: their host and their origin.

A browser runs pages of strangers that can reach this server. Such a page is told apart by its `Origin`; where
a stranger's name has been made to stand for this machine's address (DNS rebinding), by the `Host` it names.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from diffusion_toy.errors import InvalidValueError

SCHEMES = ("http", "https")


class WebOrigins:
    """Knows this server's own names, and the origins that may use it.

    Args:
        names: host names under which it is known, beside those that this machine has.
        origins: origins of other pages that may use it, as in "https://example.org".
        tls: whether it serves https; then no page of http may use it.

    Raises:
        InvalidValueError: a name or an origin that is none.
    """

    def __init__(self, names: Iterable[str] = (), origins: Iterable[str] = (), *, tls: bool = False) -> None:
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own.partition('.')[0]}.local"}
        for name in names:
            parts = _split(f"//{name}")
            if parts is None or parts.hostname != name.lower():
                raise InvalidValueError(
                    "--web-host-name", name, "a host name", "write it without http:// and port"
                )
            self._names.add(name.lower())
        self._origins = {_origin(text) for text in origins}
        self._schemes = SCHEMES[1:] if tls else SCHEMES

    def knows_host(self, host: str | None) -> bool:
        """Return whether a `Host` header names this server.

        Every numeric address does: it cannot have been made to stand for another one, as a name can.
        """
        parts = _split(f"//{host}") if host else None
        if parts is None or not parts.hostname:
            return False
        name = parts.hostname.removesuffix(".")
        return name in self._names or name.endswith(".localhost") or _is_address(name)

    def allows(self, origin: str | None, host: str) -> bool:
        """Return whether the page that asks may: one of this server's own, or of an origin that is allowed.

        Without an `Origin` it is no page of another site: browsers send it for every WebSocket, and wherever
        the answer could be read.
        """
        if origin is None:
            return True
        if origin.lower() in self._origins:
            return True
        return any(origin.lower() == f"{scheme}://{host.lower()}" for scheme in self._schemes)


def _origin(text: str) -> str:
    parts = _split(text)
    bare = parts is not None and parts.scheme in SCHEMES and bool(parts.hostname)
    if parts is None or not bare or parts.path.rstrip("/") or parts.query or parts.fragment or "@" in text:
        raise InvalidValueError(
            "--web-origin", text, "an origin", "write it as https://HOST or https://HOST:PORT"
        )
    return f"{parts.scheme}://{parts.netloc}".lower()


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port  # a bad port raises
    except ValueError:
        return None
    return parts if "@" not in parts.netloc else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
