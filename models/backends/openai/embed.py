"""Vectors by any server that speaks OpenAI's protocol."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from models.backends.common.network import redacted_url
from models.backends.common.remote_embed import RemoteEmbed
from models.backends.openai.client import Endpoint
from models.backends.openai.options import OpenAIEmbedOptions

CHARACTERS = 8192 * 16  # no such model reads more


class OpenAIEmbed(RemoteEmbed):
    """Asks `/embeddings`. The server's address and the model's name stand for its weights."""

    def __init__(self, endpoint: Endpoint, options: OpenAIEmbedOptions) -> None:
        where = "served" if options.serve else redacted_url(endpoint.url)
        settings = str(options.dimensions or "all")
        if options.extra:  # it may change the vectors
            settings += f":{json.dumps(options.extra, sort_keys=True)}"
        super().__init__(f"openai:{where}:{endpoint.model}:{settings}", CHARACTERS)
        self._endpoint = endpoint
        self._options = options

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        more_fields: dict[str, Any] = {}
        if self._options.dimensions:
            more_fields["dimensions"] = self._options.dimensions
        async with self._endpoint.translated():
            answer = await self._endpoint.client.embeddings.create(
                model=self._endpoint.model,
                input=list(texts),
                # As it comes the client asks for base64 and unpacks it with numpy.
                encoding_format="float",
                extra_body=self._options.extra,
                **more_fields,
            )
        rows = [one.embedding for one in sorted(answer.data or (), key=lambda one: one.index)]
        if len(rows) != len(texts):
            raise self._endpoint.translate.unreadable(f"{len(rows)} vectors for {len(texts)} texts")
        return rows
