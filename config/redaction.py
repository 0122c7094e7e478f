"""What of a text is not for everybody: secrets of URLs, paths of this machine, internal addresses.

Owns how they are recognised and what stands in their place. Texts of libraries and of the system
hold them anywhere, so they are looked for, and not only left out where a message is written.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

URL = re.compile(
    r"\b([a-z][a-z0-9+.-]{1,20}://)(?:[^\s/?#@'\"<>]*@)?([^\s?#'\"<>]*)([?#][^\s'\"<>]*)?", re.I
)
_USUAL_TOPS = """
    app bin boot code config data dev etc home lib lib32 lib64 media mnt nix opt private proc root
    run sbin snap srv storage sys tmp usr var volume volumes work workspace Applications Library
    System Users Volumes
"""
_OUR_TOPS = {path.split("/")[1] for path in (sys.prefix, __file__) if path.count("/") > 1}
_ROUTES = {"agents", "artifacts", "docs", "health", "indexes", "models", "prune", "runs", "tools"}
"""Folders of such a name would be taken for addresses of this service."""
TOPS = "|".join(sorted(map(re.escape, {*_USUAL_TOPS.split(), *_OUR_TOPS} - _ROUTES), reverse=True))
PATH = re.compile(
    rf"(?P<quote>['\"])(?:file://)?/(?:{TOPS})/[^'\"\n]*(?P=quote)"
    rf"|(?<![\w/.:~-])(?:file://)?/(?:{TOPS})(?:/[^\s'\"<>,;:()\[\]{{}}|`]*)?(?![\w-])"
)
"""An absolute path on this machine: one that begins with a folder that systems have."""
ADDRESS = re.compile(
    r"(?<![\w.:/@-])(localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?(?![\w-]|\.\w)",
    re.I,
)
"""A host that stands by itself, without a scheme."""
INTERNAL_NAMES = (".internal", ".local", ".localhost", ".lan", ".home.arpa")
INTERNAL = "an internal address"

MAX_CHARS = 16_384
"""Of a text; libraries put whole documents into theirs."""
MAX_URL_CHARS = 4_096
"""Behind the cut, so that no secret of a URL is cut in two and not recognised."""

OF_THE_LOG = frozenset({"stderr", "output"})
"""Details that hold what processes printed."""


def redact_urls(text: str) -> str:
    """Take credentials, queries and fragments out of the URLs in a text."""
    return URL.sub(_redact_url, text) if "://" in text else text


class PublicText(NamedTuple):
    """A text for every caller, and what was taken out of it."""

    text: str
    hidden: tuple[str, ...]


def publish_text(text: str, *, addresses: bool = True) -> PublicText:
    """Shorten paths of this machine to their last part, take out internal addresses, and cut off
    what is longer than `MAX_CHARS`.
    """
    hidden: list[str] = []
    whole_chars = len(text)
    text = redact_urls(text[: MAX_CHARS + MAX_URL_CHARS])
    if addresses:
        text = URL.sub(lambda match: _hide_internal(match, _host_of(match[2]), hidden), text)
        text = ADDRESS.sub(lambda match: _hide_internal(match, match[1], hidden), text)
    if "/" in text:
        text = PATH.sub(lambda match: _shorten_path(match, hidden), text)
    if whole_chars > MAX_CHARS:
        text = f"{text[:MAX_CHARS]}… ({whole_chars} characters)"
    return PublicText(text, tuple(hidden))


def publish_details(value: Any, hidden: list[str], *, addresses: bool = True) -> Any:
    """Do the same with all texts of an error's details, and leave out what processes printed.

    What was taken out is appended to `hidden`.
    """
    match value:
        case str():
            text, taken = publish_text(value, addresses=addresses)
            hidden.extend(taken)
            return text
        case Mapping():
            printed = [f"{key}: {value[key]}" for key in value if key in OF_THE_LOG]
            hidden.extend(printed)
            return {
                key: publish_details(each, hidden, addresses=addresses)
                for key, each in value.items()
                if key not in OF_THE_LOG
            }
        case list() | tuple():
            return [publish_details(each, hidden, addresses=addresses) for each in value]
    return value


def _redact_url(url: re.Match[str]) -> str:
    scheme, address, rest = url.groups()
    return f"{scheme}{address}{rest[0] + '...' if rest else ''}"


def _shorten_path(match: re.Match[str], hidden: list[str]) -> str:
    path, quote = match[0], match["quote"] or ""
    bare = path.strip(quote) if quote else path.rstrip(".")
    ending = "" if quote else path[len(bare) :]
    hidden.append(bare)
    return f"{quote}{bare.rstrip('/').rpartition('/')[2]}{quote}{ending}"


def _host_of(authority: str) -> str:
    host = authority.partition("/")[0]
    return host.partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _hide_internal(match: re.Match[str], host: str, hidden: list[str]) -> str:
    if not _is_internal(host.strip("[]").lower().rstrip(".,;)")):
        return match[0]
    address = match[0].rstrip(".,;)")
    hidden.append(address)
    return INTERNAL + match[0][len(address) :]


def _is_internal(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        is_name = bool(host) and not host.replace(".", "").isdigit()
        return is_name and ("." not in host or host.endswith(INTERNAL_NAMES))
