"""The address of a server, as a user writes it."""

from __future__ import annotations

import re

from diffusion_toy.errors import InvalidValueError

EXAMPLE = "for example localhost:50051"
_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.%]+\]")


class AddressError(InvalidValueError):
    """Not the address of a server; the text says what is wrong with it."""

    def __init__(self, flag: str, text: str, problem: str, limit: str) -> None:
        super().__init__(flag, text, limit)
        self.args = (f"{flag} {text!r} {problem}; it has the form HOST:PORT, {EXAMPLE}",)


def parse_address(text: str, flag: str = "--server") -> str:
    """Check `HOST:PORT` (IPv6 as `[::1]:50051`) and return it.

    Raises:
        AddressError: not of that form, or the port is outside 1…65535.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host:
        raise AddressError(flag, text, "lacks a host or a port", "HOST:PORT")
    if not _HOST.fullmatch(host):
        raise AddressError(flag, text, "does not name a host", "HOST:PORT")
    if not re.fullmatch(r"-?[0-9]+", port):
        raise AddressError(flag, text, "has no number as its port", "1…65535")
    if not 1 <= int(port) <= 65535:
        raise AddressError(flag, text, f"has port {int(port)}, which is outside 1…65535", "1…65535")
    return f"{host}:{int(port)}"


def is_local(address: str) -> bool:
    """Whether the address is this machine's own."""
    return address.rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]")
