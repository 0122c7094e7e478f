"""Keys and values of prompts and their answers, kept for the next prompts that begin alike.

Owns which of them are kept: so many, within a bound of bytes, the longest unused go first. The
tensors are transformers' own `DynamicCache`. Invariants: what was read for one scope serves no
other; what is kept is changed by nobody; only models are served whose keys and values of a token
depend on the tokens before it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from models.backends.transformers.options import MAX_CACHED_PROMPTS

MIN_TOKENS = 16
"""Fewer are read sooner than looked up."""
LENGTH_DEPENDENT_ROPE = frozenset({"dynamic", "longrope"})
"""Positions that are turned otherwise in a longer prompt."""


@dataclass
class CachedPrompt:
    """`tokens` of a scope with their keys and values; the first `prompt_tokens` are the prompt."""

    scope: str
    tokens: list[int]
    prompt_tokens: int
    cache: DynamicCache

    @property
    def size_bytes(self) -> int:
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.cache.layers)

    def common_tokens(self, tokens: Sequence[int]) -> int:
        """Count the tokens with which both begin."""
        pairs = zip(self.tokens, tokens, strict=False)
        shorter = min(len(self.tokens), len(tokens))
        return next((n for n, (own, other) in enumerate(pairs) if own != other), shorter)


class PromptCache:
    """The prompts that one model has read last. Not for two threads."""

    def __init__(self, model: Any, max_bytes: int) -> None:
        self._config = model.config.get_text_config(decoder=True)
        self._max_bytes = max_bytes if _supports(model, self._config) else 0
        self._prompts: list[CachedPrompt] = []
        """The last used last."""

    @property
    def size_bytes(self) -> int:
        return sum(prompt.size_bytes for prompt in self._prompts)

    def open(self, scope: str | None, tokens: Sequence[int]) -> DynamicCache | None:
        """Return a cache for `generate`, with as much of a prompt as was read in its scope before.

        At least the last token is left to be read. None where nothing can be kept. Give the cache
        back to `keep`.
        """
        if scope is None or not self._max_bytes:
            return None
        known = [prompt for prompt in self._prompts if prompt.scope == scope]
        if known:
            longest = max(known, key=lambda prompt: prompt.common_tokens(tokens))
            length = min(longest.common_tokens(tokens), len(tokens) - 1)
            if length >= MIN_TOKENS:
                return self._reuse(longest, length)
        return DynamicCache(config=self._config)

    def keep(self, scope: str | None, tokens: list[int], prompt_tokens: int, cache: Any) -> None:
        """Keep what a cache has of these tokens; `prompt_tokens` of them are the prompt."""
        if scope is None or cache is None:
            return
        lengths = {layer.get_seq_length() for layer in cache.layers}
        length = min(*lengths, len(tokens))
        prompt = CachedPrompt(scope, tokens[:length], min(prompt_tokens, length), cache)
        if len(lengths) > 1 or length < MIN_TOKENS:
            return
        most = int(cache.get_seq_length() * self._max_bytes / prompt.size_bytes)
        if min(most, length) < cache.get_seq_length():
            length = min(most, length)
            prompt.cache = self._copy(cache, length)
            prompt.tokens = prompt.tokens[:length]
        self._prompts.append(prompt)
        while len(self._prompts) > MAX_CACHED_PROMPTS or self.size_bytes > self._max_bytes:
            del self._prompts[0]

    def clear(self) -> None:
        """Keep nothing, as where memory ran out."""
        self._prompts.clear()

    def _reuse(self, prompt: CachedPrompt, length: int) -> DynamicCache:
        self._prompts.remove(prompt)
        # The next turn of a conversation takes the place of the one before. A prompt that only
        # begins like another leaves that as it is.
        if length >= prompt.prompt_tokens - 1:
            prompt.cache.crop(length - len(prompt.tokens))
            return prompt.cache
        self._prompts.append(prompt)
        return self._copy(prompt.cache, length)

    def _copy(self, cache: DynamicCache, length: int) -> DynamicCache:
        """Copy the first tokens of a cache."""
        first = [
            (layer.keys[..., :length, :], layer.values[..., :length, :]) for layer in cache.layers
        ]
        return DynamicCache(first, config=self._config)


def _supports(model: Any, config: Any) -> bool:
    own = model.generation_config
    if own.cache_implementation or own.use_cache is False:
        return False
    if not model._supports_default_dynamic_cache():
        return False
    if not LENGTH_DEPENDENT_ROPE.isdisjoint(_rope_types(getattr(config, "rope_parameters", None))):
        return False
    # Layers with a window, or with a state in place of keys, cannot be cut back.
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)


def _rope_types(parameters: Any) -> Iterator[str]:
    """Yield how positions are turned; some models have several ways, by the kind of layer."""
    if isinstance(parameters, Mapping):
        yield str(parameters.get("rope_type"))
        for inner in parameters.values():
            yield from _rope_types(inner)
