"""Where a server can listen: host names and addresses, as the user writes them and as sockets take them."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Sequence

from diffusion_toy.errors import DiffusionToyError

MISSING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
WILDCARDS = ("0.0.0.0", "::")
LOOPBACKS = ("127.0.0.1", "::1")


class ListenError(DiffusionToyError):
    """The server cannot listen there."""


def resolve(host: str, flag: str = "--host") -> list[str]:
    """Return the numeric addresses of a host, each once; "" stands for all of this machine.

    localhost is both loopback addresses, whatever the machine's table of hosts says: clients try both.
    `host` is a name or an address, IPv6 with or without brackets, IPv4 also short, as in 127.1.

    Raises:
        ListenError: the name is unknown.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        infos = socket.getaddrinfo(bare or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ListenError(f"cannot listen on {host} ({reason}); give {flag} an address or a name") from error
    found = [str(info[4][0]) for info in infos]
    return list(dict.fromkeys([*found, *LOOPBACKS] if bare.lower() == "localhost" else found))


def is_loopback(host: str, flag: str = "--host") -> bool:
    """Return whether only this machine can reach a server that listens on `host`, an address or a name.

    Raises:
        ListenError: the name is unknown.
    """
    return all(_is_loopback_address(address) for address in resolve(host, flag))


def _is_loopback_address(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def authority(host: str, port: int) -> str:
    """Return HOST:PORT as clients take it: IPv6 in brackets, and a short IPv4 address in full."""
    bare = host.strip("[]") or "::"
    with contextlib.suppress(OSError):  # a name, or IPv6
        bare = socket.inet_ntoa(socket.inet_aton(bare))
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def usable_addresses(host: str, port: int, flag: str = "--port") -> list[str]:
    """Return the addresses of `host` on which one can listen at `port`; nothing listens there yet.

    A name may stand for an address that this machine lacks, as localhost does for ::1 where IPv6 is switched
    off; such an address is left out, unless it is the only one.

    Raises:
        ListenError: the port is in use on one of them, or none is this machine's.
    """
    usable: list[str] = []
    refusal: OSError | None = None
    addresses = resolve(host, flag.replace("port", "host"))
    if any(address in WILDCARDS for address in addresses):
        for address in WILDCARDS:  # gRPC listens on both, and is content where one of them is taken
            try:
                probe(address, port)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise cannot_listen(host, port, error.strerror or str(error), flag) from error
    for address in addresses:
        try:
            probe(address, port)
        except OSError as error:
            refusal = error
            if error.errno not in MISSING:
                break
        else:
            usable.append(address)
            continue
    if refusal is not None and (refusal.errno not in MISSING or not usable):
        raise cannot_listen(host, port, refusal.strerror or str(refusal), flag) from refusal
    return usable


def probe(address: str, port: int) -> None:
    """See that one can listen there.

    Raises:
        OSError: one cannot.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probing:
        probing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probing.bind((address, port))


def listen(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """Return sockets that listen at one port of all these addresses; port 0 takes a free one.

    Raises:
        OSError: one of them is in use.
    """
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            both = address == "::" and socket.has_dualstack_ipv6()
            listening = socket.create_server(
                (address, port), family=family, backlog=1024, dualstack_ipv6=both
            )
            sockets.append(listening)
            port = listening.getsockname()[1]
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets


def cannot_listen(host: str, port: int, reason: str, flag: str = "--port") -> ListenError:
    """Return the error for a port that cannot be had."""
    where = authority(host, port)
    return ListenError(
        f"cannot listen on {where} ({reason}); choose another {flag}, or {flag} 0 for any free one"
    )


def plain_address(text: str) -> str:
    """Return a client's address in one form: without a zone, IPv4 that came over IPv6 as IPv4."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
