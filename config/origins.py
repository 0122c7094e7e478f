"""Origins as browsers write them: what names a web site, and what is one's own."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

HOST = r"\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9]([a-zA-Z0-9._-]{0,253}[a-zA-Z0-9])?"
AUTHORITY = re.compile(rf"(?P<host>{HOST})(:(?P<port>[0-9]{{1,5}}))?")
ORIGIN = re.compile(rf"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://{AUTHORITY.pattern}")
DEFAULT_PORTS = {"http": 80, "https": 443}


class Authority(NamedTuple):
    """The name of a `Host`, in small letters and without brackets, and its port."""

    host: str
    port: int | None


class Origin(NamedTuple):
    """What must all be the same for two pages to be of one site."""

    scheme: str
    host: str
    port: int | None


def parse_authority(text: str) -> Authority | None:
    """Parse a `Host`; None where it is none."""
    match = AUTHORITY.fullmatch(text)
    return _authority(match) if match else None


def parse_origin(text: str) -> Origin | None:
    """Parse an `Origin`, the scheme's own port where it names none; None where it is none."""
    match = ORIGIN.fullmatch(text)
    return make_origin(match["scheme"].lower(), _authority(match)) if match else None


def make_origin(scheme: str, authority: Authority) -> Origin:
    """Return the origin of what is served by `scheme` at `authority`."""
    return Origin(scheme, authority.host, authority.port or DEFAULT_PORTS.get(scheme))


def _authority(match: re.Match[str]) -> Authority:
    port = match["port"]
    return Authority(match["host"].strip("[]").lower(), int(port) if port else None)


def _check_host(text: str) -> str:
    authority = parse_authority(text)
    if authority is None or authority.port is not None:
        raise ValueError(f"'{text}' is no host name; write it without scheme and port.")
    return authority.host


def _check_origin(text: str) -> str:
    origin = text.rstrip("/").lower()
    if parse_origin(origin) is None:
        raise ValueError(f"'{text}' is no origin, as https://motet.example or http://host:3000.")
    return origin


def _check_listed(text: str) -> str:
    if text == "*":
        return text
    star = "*." if text.startswith("*.") else ""
    return f"{star}{_check_host(text.removeprefix(star))}"


HostName = Annotated[str, AfterValidator(_check_host)]
"""A host name of a setting; an address of IPv6 in brackets."""
ListedHost = Annotated[str, AfterValidator(_check_listed)]
"""A host name, `*.` and one for all below it, or `*` for every host."""
OriginName = Annotated[str, AfterValidator(_check_origin)]
"""An origin of a setting: never `null`, which any page can be, and never a pattern."""
