"""What a lease of an Ollama model hands out, by its task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.backends.ollama.api import FOR_EVER, OllamaApi
from models.backends.ollama.caption import OllamaCaption
from models.backends.ollama.connection import OnLost
from models.backends.ollama.embed import OllamaEmbed
from models.backends.ollama.listing import Installed
from models.backends.ollama.options import OllamaOptions
from models.catalog.spec import Task


async def capability_of(
    api: OllamaApi,
    task: Task,
    installed: Installed,
    options: OllamaOptions,
    runner: Mapping[str, Any],
    lost: OnLost,
) -> Any:
    """`runner` are the options that the model was loaded with; `lost` is told when it is gone."""
    source, silence_s = installed.name, options.timeout_s
    if task == "chat":
        # Costs 0.4 s and 35 MB, which a server without chat need not pay.
        from models.backends.ollama.chat import OllamaChat

        sent = {**options.sampling(), **runner, "keep_alive": FOR_EVER}
        return OllamaChat(url=api.url, model=source, silence_s=silence_s, on_lost=lost, **sent)
    sent = {**options.generation(), **runner}
    if task == "caption":
        thinks = "thinking" in (installed.capabilities or ())
        return OllamaCaption(api, source, sent, silence_s=silence_s, thinks=thinks, on_lost=lost)
    embed = OllamaEmbed(
        api,
        source,
        sent,
        digest=installed.digest,
        chosen_dimensions=options.dimensions,
        silence_s=silence_s,
        on_lost=lost,
    )
    await embed.open()
    return embed
