"""What a lease of an Ollama model hands out, by its task."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from models.backends.common.sampling import dump_sampling
from models.backends.ollama.api import FOR_EVER, OllamaApi
from models.backends.ollama.caption import OllamaCaption
from models.backends.ollama.connection import OnLost
from models.backends.ollama.embed import OllamaEmbed
from models.backends.ollama.listing import Installed
from models.backends.ollama.options import OllamaOptions
from models.catalog.spec import ModelSpec

if TYPE_CHECKING:
    from models.backends.ollama.chat import OllamaChat


async def capability_of(
    api: OllamaApi,
    spec: ModelSpec,
    installed: Installed,
    options: OllamaOptions,
    runner: Mapping[str, Any],
    lost: OnLost,
) -> Any:
    """`runner` are the options that the model was loaded with; `lost` is told when it is gone."""
    source, silence_s, task = installed.name, options.timeout_s, spec.task
    if task == "chat":
        sent = {**options.runner(), **runner, "keep_alive": FOR_EVER}
        sampling = {"sampling": dump_sampling(options), "reasoning": options.reasoning}
        sent["profile"] = _profile(installed)
        network = {"url": api.url, "silence_s": silence_s, "on_lost": lost}
        return await asyncio.to_thread(
            _make_chat, called=spec.name, model=source, **network, **sampling, **sent
        )
    sent = {**options.generation(), **runner}
    if task == "caption":
        thinks = "thinking" in (installed.capabilities or ())
        return OllamaCaption(
            api, spec.name, source, sent, silence_s=silence_s, thinks=thinks, on_lost=lost
        )
    embed = OllamaEmbed(
        api,
        spec.name,
        source,
        sent,
        digest=installed.digest,
        chosen_dimensions=options.dimensions,
        silence_s=silence_s,
        on_lost=lost,
    )
    await embed.open()
    return embed


def _profile(installed: Installed) -> dict[str, Any]:
    """Return whether a model takes tools, where Ollama tells, in LangChain's `profile`."""
    if installed.capabilities is None:
        return {}
    return {"tool_calling": "tools" in installed.capabilities}


def _make_chat(**options: Any) -> OllamaChat:
    """Make the chat; blocks for 0.4 s the first time, which imports 35 MB of LangChain."""
    from models.backends.ollama.chat import OllamaChat

    return OllamaChat(**options)
