"""Links to the page: at which addresses others reach it, and as a QR code for a phone's camera."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterable
from urllib.parse import quote

import segno

from inference_server.transport.addresses import WILDCARDS, authority, is_loopback, resolve

ELSEWHERE = ("192.0.2.1", 9)  # an address of nobody (RFC 5737): which of ours would be used to go there


def own_addresses() -> list[str]:
    """Return this machine's IPv4 addresses that others may reach, the one of its default route first."""
    addresses: list[str] = []
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(ELSEWHERE)  # of a datagram socket: nothing is sent
            addresses.append(str(probe.getsockname()[0]))
    except OSError:  # no network
        pass
    try:
        infos = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET, socket.SOCK_STREAM)
        addresses += [str(info[4][0]) for info in infos]
    except OSError:  # a name that nobody knows
        pass
    return [one for one in dict.fromkeys(addresses) if not is_loopback(one)]


def page_links(host: str, port: int, names: Iterable[str], *, tls: bool) -> list[str]:
    """Return the page's addresses as others can open them, the best first.

    Args:
        host, port: where the server listens.
        names: the host names under which it is known; they come first, since the operator chose them.
        tls: whether it serves https.
    """
    hosts = list(names)
    if any(address in WILDCARDS for address in resolve(host)):
        hosts += own_addresses()
    elif not hosts or not is_loopback(host):
        hosts.append(host)
    scheme = "https" if tls else "http"
    return [f"{scheme}://{authority(one, port)}/" for one in hosts or ["localhost"]]


def with_token(link: str, token: str) -> str:
    """Return a link that carries the bearer token, in the fragment: browsers send that to nobody."""
    return f"{link}#token={quote(token, safe='')}" if token else link


def qr_code(link: str) -> list[str]:
    """Return a QR code as lines for a terminal."""
    drawn = io.StringIO()
    segno.make(link, error="l", micro=False).terminal(drawn, compact=True)
    return drawn.getvalue().rstrip("\n").split("\n")
