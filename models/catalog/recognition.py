"""Which back end runs a model, and for which task, by the names of its files and its config. Pure.

Owns the signs of each kind. What the weights hold is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from models.catalog.spec import Task


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a model is: `kind` in words, with its article."""

    kind: str
    backend: str
    task: Task


GGUF = Recognised("a GGUF model", "llamacpp", "chat")
PIPELINE = Recognised("a Diffusers pipeline", "diffusers", "image")
SENTENCES = Recognised("a sentence embedder", "sentence_transformers", "embed")
WHISPER_CTRANSLATE2 = Recognised("a Whisper model for CTranslate2", "faster_whisper", "transcribe")
COQUI = Recognised("a voice of coqui-tts", "coqui", "speech")
BY_ARCHITECTURE: Mapping[str, Recognised] = {
    "Whisper*": Recognised("a speech model of transformers", "transformers", "transcribe"),
    "*ForCausalLM": Recognised("a language model of transformers", "transformers", "chat"),
    "*LMHeadModel": Recognised("a language model of transformers", "transformers", "chat"),
    "*ForSequenceClassification": Recognised("a cross-encoder", "cross_encoder", "rerank"),
    "*ForConditionalGeneration": Recognised(
        "a vision model of transformers", "transformers", "caption"
    ),
    "*ForImageTextToText": Recognised("a vision model of transformers", "transformers", "caption"),
    "*Model": SENTENCES,
}
"""The first pattern that an architecture of a config.json matches decides."""
SEES = frozenset({"vision_config", "image_token_id", "image_token_index"})
"""Keys that the config of a model has which looks at pictures."""


def recognise(files: Collection[str], config: str = "") -> Recognised | None:
    """Say what a folder or a repository with these files holds; None for what is not known.

    `config` is the text of its config.json.
    """
    names = set(files)
    settings = _parse(config)
    for is_there, recognised in _SIGNS:
        if is_there(names, settings):
            return recognised
    for architecture in settings.get("architectures") or ():
        for pattern, recognised in BY_ARCHITECTURE.items():
            if fnmatch(str(architecture), pattern):
                return recognised if _is_sound(recognised, settings) else None
    return None


def _parse(config: str) -> dict[str, Any]:
    try:
        parsed = json.loads(config)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _is_sound(recognised: Recognised, settings: Mapping[str, Any]) -> bool:
    # T5 and its like are for conditional generation too, and see nothing.
    return recognised.task != "caption" or not SEES.isdisjoint(settings)


def _has_gguf(names: set[str], settings: Mapping[str, Any]) -> bool:
    return any(name.lower().endswith(".gguf") for name in names)


def _is_ctranslate2(names: set[str], settings: Mapping[str, Any]) -> bool:
    vocabulary = any(name.startswith("vocabulary.") for name in names)
    return "model.bin" in names and vocabulary and "architectures" not in settings


def _is_coqui(names: set[str], settings: Mapping[str, Any]) -> bool:
    return "config.json" in names and "audio" in settings and "model" in settings


Sign = Callable[[set[str], Mapping[str, Any]], bool]
_SIGNS: tuple[tuple[Sign, Recognised], ...] = (
    (lambda names, settings: "model_index.json" in names, PIPELINE),
    (lambda names, settings: "modules.json" in names, SENTENCES),
    (_has_gguf, GGUF),
    (_is_ctranslate2, WHISPER_CTRANSLATE2),
    (_is_coqui, COQUI),
)
