"""What the back ends that talk to other servers share."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from config.settings import LOOPBACK

CONNECT_TIMEOUT_S = 10.0
"""How long a server may take to accept a connection. One that is there accepts or refuses at once;
only a host that drops packets takes so long. But this process may see the connection late: where
many requests began together while all cores were busy, 2 s ended them and the model as lost."""
PROBE_CONNECT_S = 1.5
"""The same, of another host, for a question whether a server is there: a host that is off is
passed over soon. Nothing drops packets on the way to a local one."""
PROBE_TIMEOUT_S = 6.0
"""How long a server that accepted may take for a list: where cores are busy it answers late, and
with 1.5 s it was taken for absent and its role went to another model."""
IDLE_CONNECTIONS = 16


def is_local(url: str) -> bool:
    """Tell whether the server runs on this machine, as far as its address says."""
    return (urlsplit(url).hostname or "") in LOOPBACK


def probe_connect_s(url: str) -> float:
    """Return how long a server may take to accept a connection that asks whether it is there."""
    return CONNECT_TIMEOUT_S if is_local(url) else PROBE_CONNECT_S


def redacted_url(url: str) -> str:
    """Strip the URL of credentials, for messages."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}".rstrip("/")


def list_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it comes of: clients wrap errors of others, and those again."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
