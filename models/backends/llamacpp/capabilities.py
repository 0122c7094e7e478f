"""What a lease of such a model hands out, by its task: OpenAI's protocol over the worker's socket.

Imported only when a model is loaded, for the `openai` package and LangChain's chat models.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from models.backends.common.sampling import dump_sampling, for_openai
from models.backends.llamacpp.chat import LlamaCppChat
from models.backends.llamacpp.errors import URL, WorkerTranslator
from models.backends.llamacpp.model import Abilities
from models.backends.llamacpp.model_files import ModelFiles
from models.backends.llamacpp.options import (
    LlamaCppCaptionOptions,
    LlamaCppChatOptions,
    LlamaCppEmbedOptions,
    LlamaCppOptions,
)
from models.backends.openai.caption import OpenAICaption
from models.backends.openai.client import Endpoint
from models.backends.openai.context import ServerContext
from models.backends.openai.embed import OpenAIEmbed
from models.backends.openai.options import NO_KEY, OpenAICaptionOptions, OpenAIEmbedOptions
from models.capabilities import CaptionRequest
from models.workers.process import WorkerProcess

FINGERPRINT_BYTES = 1_000_000
"""Of each end of a file; a file of other weights differs in its size or there."""
COUNTER = f"{URL}/chat/completions/input_tokens"

Capability = LlamaCppChat | OpenAICaption | OpenAIEmbed


def make_capability(
    options: LlamaCppOptions,
    abilities: Abilities,
    worker: WorkerProcess,
    socket: str,
    files: ModelFiles,
) -> Capability:
    """Make the capability of a model whose worker serves it on a socket. Blocks for imports."""
    slots = asyncio.Semaphore(options.slots)
    translate = WorkerTranslator(worker, options.timeout_s)
    if isinstance(options, LlamaCppChatOptions):
        return LlamaCppChat(
            options,
            slots,
            ServerContext(abilities.context, COUNTER, abilities.takes_tools),
            profile={"image_inputs": abilities.sees},
            url=URL,
            model=worker.name,
            key=NO_KEY,
            silence_s=options.timeout_s,
            translate=translate,
            socket=socket,
        )
    endpoint = Endpoint(URL, worker.name, NO_KEY, options.timeout_s, translate, socket)
    if isinstance(options, LlamaCppCaptionOptions):
        return LlamaCppCaption(endpoint, options, slots)
    assert isinstance(options, LlamaCppEmbedOptions)
    return LlamaCppEmbed(endpoint, options, slots, fingerprint_file(files.model))


class LlamaCppCaption(OpenAICaption):
    """Captions when one of the slots is this caller's."""

    def __init__(
        self, endpoint: Endpoint, options: LlamaCppCaptionOptions, slots: asyncio.Semaphore
    ) -> None:
        super().__init__(endpoint, OpenAICaptionOptions(base_url=URL))
        self._llamacpp = options
        self._slots = slots

    async def caption(self, request: CaptionRequest) -> AsyncGenerator[str, None]:
        async with self._slots:
            async with aclosing(super().caption(request)) as pieces:
                async for piece in pieces:
                    yield piece

    def _sampling(self, request: CaptionRequest) -> dict[str, Any]:
        chosen = {**dump_sampling(self._llamacpp), **self._llamacpp.own_fields()}
        return for_openai({**chosen, "max_tokens": request.max_tokens})


class LlamaCppEmbed(OpenAIEmbed):
    """Embeds when one of the slots is this caller's. `fingerprint` stands for the weights."""

    def __init__(
        self,
        endpoint: Endpoint,
        options: LlamaCppEmbedOptions,
        slots: asyncio.Semaphore,
        fingerprint: str,
    ) -> None:
        super().__init__(endpoint, OpenAIEmbedOptions(base_url=URL))
        self.fingerprint = f"llamacpp:{fingerprint}:{options.pooling or 'own'}"
        self._slots = slots

    async def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        async with self._slots:
            return await super()._ask(texts)


def fingerprint_file(path: Path) -> str:
    """Digest a model's file by its ends and its size. Blocks."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as stream:
        digest.update(stream.read(FINGERPRINT_BYTES))
        stream.seek(max(0, size - FINGERPRINT_BYTES))
        digest.update(stream.read())
    return digest.hexdigest()[:32]
