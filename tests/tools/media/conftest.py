"""One `Media` for the tests of a module, and files made by the libraries themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tools.media import Media


@pytest.fixture(scope="module")
async def media() -> AsyncIterator[Media]:
    media = Media()
    try:
        yield media
    finally:
        await media.close()
