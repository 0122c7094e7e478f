"""Tells which network addresses are public, by the registries of IANA and what they leave open.

Pure but for `list_own_addresses`. Who may be fetched from nevertheless (`allowed`) is a setting.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Collection, Sequence
from typing import TypeAlias

import psutil

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 addresses that stand for IPv4 ones (RFC 6052)."""
IPV6_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that was ever given out as public; the rest of IPv6 is reserved or for other purposes."""
SPECIAL: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments (RFC 6890); Oracle's metadata
        "192.31.196.0/24",  # AS112 (RFC 7535)
        "192.52.193.0/24",  # multicast relays (RFC 7450)
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "192.175.48.0/24",  # AS112 (RFC 7534)
        "168.63.129.16/32",  # the host of a virtual machine at Azure
        "2001::/23",  # protocol assignments (RFC 2928), Teredo
        "2002::/16",  # 6to4 (RFC 3056)
        "2620:4f:8000::/48",  # AS112 (RFC 7534)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
"""Global by the letter of the registries or of Python, yet no address of a public service: they
lead elsewhere than they show, or to machinery of the network."""


def is_forbidden(
    address: Address, allowed: Sequence[Network] = (), own: Collection[Address] = ()
) -> bool:
    """Tell whether an address is not a public one of others: private, loopback, link-local,
    multicast, …, or among this machine's `own`."""
    target = embedded_address(address)
    if any(target in network for network in allowed):
        return False
    if isinstance(target, ipaddress.IPv6Address) and target not in IPV6_UNICAST:
        return True
    special = target in own or any(target in network for network in SPECIAL)
    return special or not target.is_global or target.is_multicast or target.is_reserved


def list_own_addresses() -> frozenset[Address]:
    """List the addresses of this machine's interfaces, public ones among them."""
    addresses = set()
    for interface in psutil.net_if_addrs().values():
        for each in interface:
            with contextlib.suppress(ValueError):  # that of the hardware
                addresses.add(ipaddress.ip_address(each.address.partition("%")[0]))
    return frozenset(addresses)


def embedded_address(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
