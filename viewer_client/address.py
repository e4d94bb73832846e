"""The address of a server, as a user writes it."""

from __future__ import annotations

import re

from diffusion_toy.errors import InvalidValueError

EXAMPLE = "for example localhost:50051"
_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.%]+\]")


def parse_address(text: str, flag: str = "--server") -> str:
    """Check `HOST:PORT` (IPv6 as `[::1]:50051`) and return it.

    Raises:
        InvalidValueError: not of that form, or the port is outside 1…65535.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not _HOST.fullmatch(host) or not port.lstrip("-").isdecimal():
        raise InvalidValueError(flag, repr(text), "the form HOST:PORT", EXAMPLE)
    if not port.isascii() or not 1 <= int(port) <= 65535:
        raise InvalidValueError(f"port {port} of {flag}", repr(text), "1…65535", EXAMPLE)
    return f"{host}:{int(port)}"


def is_local(address: str) -> bool:
    """Whether the address is this machine's own."""
    return address.rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]")
