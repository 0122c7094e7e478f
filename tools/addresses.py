"""Tells which network addresses are public, by the registries of IANA and what they leave open.

Pure. Who may be fetched from nevertheless (`allowed`) is a setting.
"""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 addresses that stand for IPv4 ones (RFC 6052)."""
# Global by the letter of the registries, yet they lead to other addresses than they show.
RELAYS: tuple[Network, ...] = (
    ipaddress.IPv6Network("2002::/16"),
    ipaddress.IPv6Network("fec0::/10"),
    ipaddress.IPv4Network("192.88.99.0/24"),
    ipaddress.IPv4Network("192.0.0.0/24"),
)
"""Global by the letter of the registries, yet they lead to other addresses than they show: 6to4
(RFC 3056) and its relays (RFC 7526), site-local addresses (RFC 3879), protocol assignments (RFC
6890).
"""


def is_forbidden(address: Address, allowed: tuple[Network, ...] = ()) -> bool:
    """Tell whether an address is not a public one: private, loopback, link-local, multicast, …"""
    target = _embedded_ipv4(address)
    if any(target in network for network in allowed):
        return False
    relayed = any(target in network for network in RELAYS)
    return relayed or not target.is_global or target.is_multicast or target.is_reserved


def _embedded_ipv4(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
