"""Proxies in front of a server, whose word on a client's address is believed: `X-Forwarded-For`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from diffusion_toy.errors import InvalidValueError
from inference_server.transport.addresses import plain_address

FLAG = "--trusted-proxies"
FORWARDED_FOR = "x-forwarded-for"  # of a request; each proxy adds whom it has it from, at the end

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class TrustedProxies:
    """The proxies that are believed; none by default, so that nobody can claim an address.

    Attributes:
        networks: where they are.
    """

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> TrustedProxies:
        """Return the proxies of a list of addresses and networks, as in 10.0.0.7,fd00::/8.

        Raises:
            InvalidValueError: an entry is no address or network, or stands for everybody.
        """
        return cls(tuple(_network(entry.strip()) for entry in text.split(",") if entry.strip()))

    def __contains__(self, address: str) -> bool:
        """Return whether a proxy that is believed has this address."""
        if not self.networks:
            return False
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.networks)

    def client(self, peer: str, forwarded: Iterable[str]) -> str:
        """Return the address that a request is from, in one form and without a port.

        It is the last one that no proxy of ours has, since anybody can write what stands before it.

        Args:
            peer: where the connection is from.
            forwarded: the values of the header `X-Forwarded-For`, in their order.
        """
        client = peer
        if client not in self:
            return client
        entries = [entry for value in forwarded for entry in value.split(",")]
        for entry in reversed(entries):
            address = _forwarded_address(entry.strip())
            if address is None:  # a proxy of ours had it from somebody whom it does not name
                break
            client = address
            if client not in self:
                break
        return client


NO_PROXIES = TrustedProxies()


def _network(text: str) -> Network:
    """Return a network, an address being one of its own.

    Raises:
        InvalidValueError: it is none, or stands for everybody.
    """
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        limit = "addresses and networks, as 10.0.0.7, 10.0.0.0/24 or fd00::/8"
        raise InvalidValueError(FLAG, text, limit, "write several with commas between") from None
    address, _, bits = text.partition("/")
    if found.prefixlen == 0:
        remedy = "everybody could claim any address; name the proxies alone"
        raise InvalidValueError(FLAG, text, f"networks of 1…{found.max_prefixlen} bits", remedy)
    if bits and ipaddress.ip_address(address) != found.network_address:
        remedy = f"write {found} for the network, or {address} for this address alone"
        raise InvalidValueError(FLAG, text, f"networks of {found.prefixlen} bits", remedy)
    return found


def _forwarded_address(entry: str) -> str | None:
    """Return the address of an entry as proxies write it, some with a port; None if it is none."""
    bare = entry
    if entry.startswith("["):
        bare = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        bare = entry.partition(":")[0]
    address = plain_address(bare)
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return None
    return address
