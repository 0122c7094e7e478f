"""One tenant's `Media` for the tests of a module, and files made by the libraries themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.tenants import TENANT
from tools.media import Media, TenantMedia


@pytest.fixture(scope="module")
async def media() -> AsyncIterator[TenantMedia]:
    media = Media()
    try:
        yield media.of_tenant(TENANT)
    finally:
        await media.close()
