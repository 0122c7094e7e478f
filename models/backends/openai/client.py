"""OpenAI's own client, bounded in time and failing in our families.

Imported only when a model is loaded: the `openai` package costs 0.5 s and 30 MB.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import openai
from openai import AsyncOpenAI

from models.backends.common.network import CONNECT_TIMEOUT_S
from models.backends.common.transports import TransportFactory
from models.backends.openai.errors import Translator

FOREIGN = (openai.OpenAIError, httpx2.HTTPError, TimeoutError, ValueError, TypeError)


class Endpoint:
    """One model of one server: `name` in models.yaml, `model` there. `close` it."""

    def __init__(
        self,
        url: str,
        model: str,
        key: str,
        silence_s: float,
        translate: Translator,
        socket: str | None = None,
    ) -> None:
        self.url = url
        self.model = model
        self.name = translate.model
        self.translate = translate
        timeout = httpx2.Timeout(silence_s, connect=CONNECT_TIMEOUT_S)
        transport = TransportFactory(httpx2, url, socket).make("AsyncHTTPTransport")
        # It never retries: whoever asks has a policy of its own.
        self.client = AsyncOpenAI(
            base_url=url,
            api_key=key,
            timeout=timeout,
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=transport, timeout=timeout),
        )

    @asynccontextmanager
    async def translated(self) -> AsyncIterator[None]:
        """Translate errors of the client and of its connection into our families."""
        try:
            yield
        except FOREIGN as error:
            raise await self.translate.explain_loss(self.translate(error)) from error

    async def aclose(self) -> None:
        await self.client.close()
