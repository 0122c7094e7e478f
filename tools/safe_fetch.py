"""Fetches a URL that someone else chose, without reaching into our own network.

Guards against server-side request forgery: every address of a host is checked, and the connection
then goes to a checked address itself, so that a name that resolves anew on the way (DNS rebinding)
cannot lead elsewhere. Each redirect is a URL that someone else chose, and checked as the first one.
What may be fetched is `url_guard`'s matter, what is read of an answer `responses`'.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from config.errors import Invalid, TimedOut
from config.lost_connections import translate_lost
from tools.addresses import Address
from tools.responses import (
    FetchedPage,
    PostAnswer,
    describe_response,
    read_response,
    read_retry_after,
    shorten_url,
    unreachable,
)
from tools.url_guard import (
    DEFAULT_LIMITS,
    FetchLimits,
    Resolve,
    check_post_url,
    check_url,
    is_allowlisted,
    join_url,
    parse_url,
    resolve_checked,
    unencrypted,
)

__all__ = [
    "CacheValidators",
    "CheckAddress",
    "FetchLimits",
    "Resolve",
    "allow_address",
    "check_post_url",
    "check_url",
    "fetch",
    "post",
]

CheckAddress: TypeAlias = Callable[[str], None]

REDIRECT_STATUSES = {301, 302, 303, 307, 308}
NOT_MODIFIED = 304
JSON_HEADERS = {"Content-Type": "application/json"}
HEADERS = {"User-Agent": "Motet/0.1", "Accept": "*/*", "Accept-Encoding": "gzip"}


@dataclass(frozen=True)
class CacheValidators:
    """What the host said of a page that was fetched before (RFC 9110, 13)."""

    etag: str | None = None
    last_modified: str | None = None

    def build_headers(self) -> dict[str, str]:
        """Return the headers that ask for what has changed since."""
        conditions = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in conditions.items() if value}


def allow_address(url: str) -> None:
    """Allow any URL that the guard allows."""


async def fetch(
    url: str,
    limits: FetchLimits = DEFAULT_LIMITS,
    *,
    validators: CacheValidators = CacheValidators(),
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
    check: CheckAddress = allow_address,
) -> FetchedPage:
    """Fetch what `url` holds from a public address within `limits`.

    A page that is still as its `validators` say need not be sent again. `check` raises for a URL
    that must not be asked for, and sees that of each redirect, before its host is looked up. Raises
    what it raises, `Invalid` (`forbidden_url`, `forbidden_address`, `forbidden_port`, `too_large`,
    `too_many_redirects`), `NotFound` (`page_not_found`), `TimedOut` (`fetch_timed_out`), or
    `Unavailable` when the host does not answer as it should. Proxies of the environment are not
    used: they would resolve names past the guard. `resolve` stands in for that of the limits.
    """
    resolve = resolve or limits.resolve
    async with _within_time(url, limits):
        headers = validators.build_headers()
        return await _follow_redirects(url, limits, headers, resolve, tls, check)


async def post(
    url: str,
    body: bytes,
    limits: FetchLimits = DEFAULT_LIMITS,
    *,
    headers: Mapping[str, str] | None = None,
    resolve: Resolve | None = None,
) -> PostAnswer:
    """Send a JSON body to `url` and return what was answered; follows no redirect.

    What is sent goes over public networks encrypted only. Raises as `fetch` does, but for statuses.
    """
    async with _within_time(url, limits):
        parsed = parse_url(url)
        addresses = await resolve_checked(parsed, limits, resolve or limits.resolve)
        if parsed.scheme != "https" and not all(is_allowlisted(each, limits) for each in addresses):
            raise unencrypted()
        tls = await _load_certificates(parsed)
        sent = {**JSON_HEADERS, **(headers or {})}
        async with _open(parsed, addresses, limits, tls, sent, body) as response:
            return PostAnswer(response.status_code, read_retry_after(response))


@asynccontextmanager
async def _within_time(url: str, limits: FetchLimits) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(limits.timeout_s):
            yield
    except TimeoutError as error:
        raise TimedOut(
            f"{shorten_url(url)} did not answer within {limits.timeout_s:g} s.",
            code="fetch_timed_out",
            details={"field": "url"},
        ) from error


async def _follow_redirects(
    url: str,
    limits: FetchLimits,
    headers: Mapping[str, str],
    resolve: Resolve,
    tls: ssl.SSLContext | None,
    check: CheckAddress,
) -> FetchedPage:
    target = url
    for _ in range(limits.max_redirects + 1):
        parsed = parse_url(target)
        check(str(parsed))
        tls = tls or await _load_certificates(parsed)
        addresses = await resolve_checked(parsed, limits, resolve)
        async with _open(parsed, addresses, limits, tls, headers) as response:
            if response.status_code == NOT_MODIFIED and headers:
                return describe_response(parsed, response, b"", unchanged=True)
            if response.status_code not in REDIRECT_STATUSES or "location" not in response.headers:
                return await read_response(parsed, response, limits.max_bytes)
            target = join_url(parsed, response.headers["location"])
    raise Invalid(
        f"{shorten_url(url)} redirects more than {limits.max_redirects} times.",
        code="too_many_redirects",
        details={"field": "url"},
    )


async def _load_certificates(url: httpx.URL) -> ssl.SSLContext | None:
    if url.scheme != "https":
        return None
    # Reading them takes tens of milliseconds: not on the event loop.
    return await asyncio.to_thread(httpx.create_ssl_context)


@asynccontextmanager
async def _open(
    url: httpx.URL,
    addresses: list[Address],
    limits: FetchLimits,
    tls: ssl.SSLContext | None,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> AsyncIterator[httpx.Response]:
    """Open the response of the first address that can be connected to, its body not yet read."""
    # The whole fetch is bounded by its caller; here one dead address must leave time for others.
    timeout = httpx.Timeout(None, connect=limits.timeout_s / (len(addresses) + 1))
    requests = [_build_request(url, address, timeout, headers, body) for address in addresses]
    # The bare transport follows no redirects, keeps no cookies and asks no proxy.
    async with httpx.AsyncHTTPTransport(verify=tls or False, trust_env=False) as transport:
        response = await _send_first(transport, requests, url.raw_host.decode("ascii"))
        try:
            yield response
        finally:
            await response.aclose()


def _build_request(
    url: httpx.URL,
    address: Address,
    timeout: httpx.Timeout,
    headers: Mapping[str, str],
    body: bytes | None,
) -> httpx.Request:
    """Build the request to an address that was checked.

    The address replaces the name in the URL: nothing is resolved again. The header and the
    certificate stay the name's.
    """
    return httpx.Request(
        "GET" if body is None else "POST",
        url.copy_with(host=str(address)),
        headers={**HEADERS, **headers, "Host": url.netloc.decode("ascii")},
        content=body,
        extensions={
            "sni_hostname": url.raw_host.decode("ascii"),
            "timeout": timeout.as_dict(),
        },
    )


async def _send_first(
    transport: httpx.AsyncHTTPTransport, requests: Sequence[httpx.Request], host: str
) -> httpx.Response:
    """Send the first request whose address can be connected to; the caller closes the response.

    Raises `Unavailable` (`host_unreachable`).
    """
    refusal: httpx.HTTPError | None = None
    for request in requests:
        try:
            with translate_lost(httpx):
                return await transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            refusal = error
        except httpx.HTTPError as error:
            raise unreachable(host, error) from error
    raise unreachable(host, refusal) from refusal
