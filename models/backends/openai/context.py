"""The context of a model on an OpenAI-compatible server, its tokens, and whether it takes tools.

OpenAI's protocol tells none of them. Owns what servers add to it: llama.cpp, vLLM, SGLang and
gateways that list it with their models. Nothing here fails: what a server does not tell is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx

from models.backends.common.network import PROBE_TIMEOUT_S

if TYPE_CHECKING:
    from langchain_core.language_models import ModelProfile

FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""Of an entry of `/models`, by server."""


@dataclass(frozen=True, slots=True)
class ServerContext:
    """`tokens`: the context. `counter`: the address at which it counts a prompt's tokens.

    `takes_tools` is False where the model's chat template has no place for tools.
    """

    tokens: int | None = None
    counter: str | None = None
    takes_tools: bool | None = None

    def limited(self, tokens: int | None) -> ServerContext:
        """Return the same with at most so many tokens, where a bound is configured."""
        bounds = [each for each in (self.tokens, tokens) if each]
        return replace(self, tokens=min(bounds, default=None))

    def profile(self) -> ModelProfile:
        """Return what is known, in the fields of LangChain's `profile`."""
        known: ModelProfile = {}
        if self.tokens:
            known["max_input_tokens"] = self.tokens
        if self.takes_tools is not None:
            known["tool_calling"] = self.takes_tools
        return known


async def find_context(client: httpx.AsyncClient, url: str, key: str, model: str) -> ServerContext:
    """Ask a server for the context of a model. `url` is its base URL, up to and with `/v1`."""
    base = f"{url.rstrip('/')}/"
    listed = await _get(client, f"{base}models", key)
    entry = find_entry(listed, model)
    match entry.get("owned_by"):
        case "llamacpp":
            props = await _get(client, urljoin(base, "../props"), key)
            counter = f"{base}chat/completions/input_tokens"
            return ServerContext(slot_context(props), counter, takes_tools(props))
        case "vllm":
            return ServerContext(entry_context(entry), urljoin(base, "../tokenize"))
    return ServerContext(entry_context(entry))


def find_entry(listed: Any, model: str) -> Mapping[str, Any]:
    """Return the entry of a model in the answer of `/models`; the only one under any name."""
    data = listed.get("data") if isinstance(listed, Mapping) else None
    entries = [each for each in data or () if isinstance(each, Mapping)]
    named = [each for each in entries if each.get("id") == model]
    return next(iter(named), entries[0] if len(entries) == 1 else {})


def entry_context(entry: Mapping[str, Any]) -> int | None:
    """Return the context that an entry of `/models` tells."""
    return next((value for name in FIELDS if (value := _positive(entry.get(name)))), None)


def slot_context(props: Any) -> int | None:
    """Return the context of one of llama.cpp's slots, out of `/props`."""
    settings = props.get("default_generation_settings") if isinstance(props, Mapping) else None
    return _positive(settings.get("n_ctx")) if isinstance(settings, Mapping) else None


def takes_tools(props: Any) -> bool | None:
    """Tell whether the chat template of llama.cpp's model has a place for tools, by `/props`."""
    caps = props.get("chat_template_caps") if isinstance(props, Mapping) else None
    value = caps.get("supports_tools") if isinstance(caps, Mapping) else None
    return value if isinstance(value, bool) else None


def counted_tokens(answer: Any) -> int | None:
    """Return the number of tokens in the answer of a server's counter."""
    if not isinstance(answer, Mapping):
        return None
    return _positive(answer.get("input_tokens")) or _positive(answer.get("count"))


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


async def _get(client: httpx.AsyncClient, url: str, key: str) -> Any:
    headers = {"authorization": f"Bearer {key}"}
    try:
        answer = await client.get(url, headers=headers, timeout=PROBE_TIMEOUT_S)
        return None if answer.is_error else answer.json()
    except (httpx.HTTPError, ValueError):
        return None
