"""Reads HTTP responses within bounds, and says what is wrong with them.

Owns decompression: httpx would unpack a whole chunk before anyone could count. Which URL is asked
is `safe_fetch`'s matter.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx

from config.errors import Invalid, MotetError, NotFound, Unavailable


@dataclass(frozen=True)
class FetchedPage:
    """What a URL held. `url` is the last one after redirects; `media_type` is in lower case.

    `etag` and `last_modified` are the host's, for `CacheValidators` of a later fetch. `unchanged`
    says that the page is still the one that those describe, and its data was not sent again.
    """

    url: str
    media_type: str
    data: bytes
    charset: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    unchanged: bool = False


class PostAnswer(NamedTuple):
    """What a host said to what was posted: its status, and in how long it wants to be asked again.

    `retry_after_s` is None where it did not say.
    """

    status: int
    retry_after_s: float | None = None


def read_retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of a response's `Retry-After`, which may be a date; None without one."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # A date without a zone is in UTC.
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


async def read_response(url: httpx.URL, response: httpx.Response, max_bytes: int) -> FetchedPage:
    """Read what a response holds, at most `max_bytes` of it.

    Raises as `safe_fetch.fetch` says.
    """
    if response.status_code != 200:
        raise _status_error(url, response)
    data = bytearray()
    try:
        async for part in _unpack(response, max_bytes):
            data += part
            if len(data) > max_bytes:
                raise Invalid(
                    f"{shorten_url(str(url))} is larger than {max_bytes} bytes.",
                    code="too_large",
                    details={"field": "url", "max_bytes": max_bytes},
                )
    except (httpx.HTTPError, zlib.error) as error:
        raise unreachable(url.host, error) from error
    return describe_response(url, response, bytes(data))


def describe_response(
    url: httpx.URL, response: httpx.Response, data: bytes, *, unchanged: bool = False
) -> FetchedPage:
    """Describe a response by its headers, with the data it held."""
    headers = response.headers
    kind = Message()
    kind["content-type"] = headers.get("content-type", "application/octet-stream")
    return FetchedPage(
        str(url),
        kind.get_content_type(),
        data,
        kind.get_content_charset(),
        headers.get("etag"),
        headers.get("last-modified"),
        unchanged,
    )


async def _unpack(response: httpx.Response, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body unpacked, never more than a little above `max_bytes` at once.

    httpx would unpack a whole chunk before anyone could count: a kilobyte can hold a megabyte.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        async for chunk in response.aiter_raw():
            yield chunk
    elif encoding in {"gzip", "x-gzip"}:
        unpacker = zlib.decompressobj(wbits=31)
        async for chunk in response.aiter_raw():
            yield unpacker.decompress(chunk, max_bytes + 1)
        if not unpacker.eof:
            raise zlib.error("the answer is cut off")
    else:
        raise Unavailable(
            f"The host answers in the encoding '{encoding[:40]}', which was not asked for.",
            code="fetch_failed",
        )


def _status_error(url: httpx.URL, response: httpx.Response) -> MotetError:
    status = response.status_code
    message = f"{shorten_url(str(url))} answers {status} {response.reason_phrase}."
    details = {"field": "url", "status": status}
    if status in {404, 410}:
        return NotFound(message, code="page_not_found", details=details)
    temporary = status in {408, 429} or status >= 500
    return Unavailable(message, code="fetch_failed", details=details, permanent=not temporary)


def unreachable(host: str, error: Exception | None) -> Unavailable:
    """Build the error for a host that does not answer; without an `error` it has no address."""
    reason = str(error) or type(error).__name__ if error else "it has no address"
    return Unavailable(
        f"'{host}' cannot be read: {reason}.", code="host_unreachable", details={"field": "url"}
    )


def shorten_url(url: str) -> str:
    """Shorten a URL for a message."""
    return url if len(url) <= 200 else f"{url[:200]}…"
