"""Connections that end while a client opens or uses them, as errors of the client's library.

httpx and httpx2 translate what sockets raise, but not all of it. On uvloop a transport that its
peer has reset has no socket, and anyio asks the missing socket for its name: an `AttributeError`
came out of a request to a server that was killed. Other operations on such a transport raise a
`RuntimeError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyio import BrokenResourceError, ClosedResourceError, EndOfStream

FOREIGN = (
    AttributeError,
    RuntimeError,
    OSError,
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
)
"""What layers below the client raise when a connection is gone."""


@contextmanager
def translate_lost(library: Any) -> Iterator[None]:
    """Raise `ConnectError` of httpx or httpx2, the `library`, for what it left untranslated."""
    try:
        yield
    except library.StreamError:
        raise  # a RuntimeError too, about the use of a body
    except FOREIGN as error:
        raise library.ConnectError("The connection was lost.") from error
