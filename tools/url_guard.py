"""Which URLs that someone else chose may be fetched, and from which addresses.

Owns the rules: schemes, ports, networks, this machine's own addresses. Fetching is `safe_fetch`'s.
Invariant: what `resolve_checked` returns was checked, each address of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from config.errors import Invalid, Unavailable
from tools.addresses import (
    Address,
    Network,
    embedded_address,
    is_forbidden,
    list_own_addresses,
)
from tools.name_resolver import NameResolver
from tools.responses import shorten_url

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]

WEB_PORTS = frozenset({80, 443})
MAX_ADDRESSES = 4
"""Of a host that are tried; one dead address leaves time for others."""


async def system_resolve(host: str, port: int) -> list[str]:
    """Resolve a host to its addresses, as the operating system sees them."""
    return await NameResolver()(host, port)


@dataclass(frozen=True)
class FetchLimits:
    """Bounds of one fetch. `timeout_s` covers it whole, redirects included.

    `allowed_networks` are reached although they are not public, at any port: an intranet, or a
    test's server. Other hosts are reached at `allowed_ports` alone: behind others are mail servers,
    databases and the like, which take lines of a request for theirs.
    """

    max_bytes: int = 32 * 2**20
    timeout_s: float = 30.0
    max_redirects: int = 5
    allowed_networks: tuple[Network, ...] = ()
    allowed_ports: frozenset[int] = WEB_PORTS
    resolve: Resolve = system_resolve


DEFAULT_LIMITS = FetchLimits()


def check_post_url(url: str, limits: FetchLimits = DEFAULT_LIMITS) -> None:
    """Raise `Invalid` for a URL to which nothing is posted, wherever its host may lead.

    Plain http is for hosts in `allowed_networks`; where a name leads is checked by `post`.
    """
    check_url(url, limits)
    if parse_url(url).scheme != "https" and not limits.allowed_networks:
        raise unencrypted()


def check_url(url: str, limits: FetchLimits = DEFAULT_LIMITS) -> None:
    """Raise `Invalid` for a URL that is refused wherever its host may lead, without asking."""
    parsed = parse_url(url)
    host = parsed.raw_host.decode("ascii").strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not limits.allowed_networks:  # else the name may lead into one of them
            _check_port(parsed, limits)
        return
    _check_addresses(parsed, [address], limits)


def parse_url(url: str) -> httpx.URL:
    """Parse a URL that may be fetched, without its fragment. Raises `Invalid` (`forbidden_url`)."""
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, TypeError) as error:
        raise refusal(f"'{shorten_url(url)}' is not a URL: {error}") from error
    if parsed.scheme not in {"http", "https"}:
        raise refusal(f"'{shorten_url(url)}': only http and https URLs are fetched.")
    if not host or "%" in host or (parsed.port or 0) > 65535:
        raise refusal(f"'{shorten_url(url)}' names no host and port to connect to.")
    if parsed.userinfo:
        raise refusal("A URL with a user name or password is not fetched.")
    return parsed.copy_with(fragment=None)


def join_url(base: httpx.URL, location: str) -> str:
    """Return where a redirect leads. Raises `Invalid` (`forbidden_url`)."""
    try:
        return str(base.join(location))
    except httpx.InvalidURL as error:
        raise refusal(
            f"{shorten_url(str(base))} redirects to what is not a URL: {error}"
        ) from error


async def resolve_checked(url: httpx.URL, limits: FetchLimits, resolve: Resolve) -> list[Address]:
    """Resolve a host and check every address; one that is not public condemns the host.

    Raises `Invalid` (`forbidden_address`, `forbidden_port`), `Unavailable` (`host_not_found`).
    """
    host = url.raw_host.decode("ascii")
    try:
        names = await resolve(host, _port_of(url))
        addresses = [ipaddress.ip_address(name) for name in names]
    except (OSError, ValueError, OverflowError) as error:
        raise Unavailable(
            f"The host '{host}' cannot be found.",
            code="host_not_found",
            details={"field": "url"},
        ) from error
    _check_addresses(url, addresses, limits)
    return addresses[:MAX_ADDRESSES]


def _check_addresses(url: httpx.URL, addresses: Sequence[Address], limits: FetchLimits) -> None:
    own = list_own_addresses()
    for address in addresses:
        if is_forbidden(address, limits.allowed_networks, own):
            host = url.raw_host.decode("ascii")
            raise Invalid(
                f"'{host}' does not lead to a public address.",
                code="forbidden_address",
                details={"field": "url"},
            )
    if not all(is_allowlisted(address, limits) for address in addresses):
        _check_port(url, limits)


def _check_port(url: httpx.URL, limits: FetchLimits) -> None:
    port = _port_of(url)
    if port not in limits.allowed_ports:
        raise Invalid(
            f"Port {port} is none of the web's: "
            f"{', '.join(map(str, sorted(limits.allowed_ports)))} are allowed.",
            code="forbidden_port",
            details={"field": "url"},
        )


def _port_of(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def is_allowlisted(address: Address, limits: FetchLimits) -> bool:
    """Tell whether an address is in a network that is allowed although it is not public."""
    target = embedded_address(address)
    return any(target in network for network in limits.allowed_networks)


def unencrypted() -> Invalid:
    """Build the refusal of a result sent in the clear."""
    return refusal("Results are sent by https, or by http to hosts in allowed_networks alone.")


def refusal(message: str) -> Invalid:
    """Build the error of a URL that is never fetched (`forbidden_url`)."""
    return Invalid(message, code="forbidden_url", details={"field": "url"})
