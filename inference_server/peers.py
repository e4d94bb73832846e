"""Whose an address is: what one client can have of them."""

from __future__ import annotations

import ipaddress


def network_of(address: str) -> str:
    """Return what one client can have of addresses: an IPv4 address, or the first 64 bits of IPv6."""
    parts = address.split(":")
    if len(parts) < 3:
        return address
    try:
        return str(ipaddress.ip_network(f"{address}/64", strict=False))
    except ValueError:
        return address
