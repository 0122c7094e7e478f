"""How much too long a prompt was, as servers tell it when they refuse one. Pure.

Owns the forms of llama.cpp, Ollama, OpenAI, vLLM, SGLang, TGI and some gateways.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_CONTEXT = (
    r"context (?:length|size|window)(?: is| of)?(?: only)? \(?(\d+)",
    r"must be <= (\d+)",
    r"> (\d+) maximum",
    r"tokens allowed \((\d+)\)",
)
_TOKENS = (
    r"request \((\d+) tokens",
    r"\((\d+) in the messages",
    r"(\d+) tokens from the input messages",
    r"resulted in (\d+) tokens",
    r"(?:has|passed) (\d+) input tokens",
    r"input \((\d+) tokens",
    r"Given: (\d+)",
    r"too long: (\d+)",
    r"token count \((\d+)\)",
    r"requested (\d+) tokens",
)


def read_overflow(text: str, body: object = None) -> dict[str, int]:
    """Return `tokens` of the prompt and `context` of the model, each where it is told.

    `body` is the error's own object, in which llama.cpp tells both by name.
    """
    fields = body if isinstance(body, Mapping) else {}
    numbers = {
        "tokens": _number(fields.get("n_prompt_tokens")) or _find(_TOKENS, text),
        "context": _number(fields.get("n_ctx")) or _find(_CONTEXT, text),
    }
    return {name: number for name, number in numbers.items() if number}


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _find(patterns: Sequence[str], text: str) -> int | None:
    matches = (re.search(pattern, text) for pattern in patterns)
    return next((int(match[1]) for match in matches if match), None)
