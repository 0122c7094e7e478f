"""Which language models are on this machine, and how they are declared."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.real_models.catalog import (
    GEMMA_BASE,
    QWEN_LARGE,
    QWEN_SMALL,
    SMALLEST,
    VARIABLE,
    ModelFile,
)

CHAT_MODELS = (SMALLEST, QWEN_SMALL, QWEN_LARGE, GEMMA_BASE)
PLAIN_TEMPLATE = Path(__file__).parent / "plain.jinja"
"""For models that come without a chat template."""
WITHOUT_TEMPLATE = frozenset({GEMMA_BASE.name})
THREADS, CONTEXT = 1, 4096


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A language model whose file is here."""

    name: str
    file: Path

    @property
    def template(self) -> Path | None:
        return PLAIN_TEMPLATE if self.name in WITHOUT_TEMPLATE else None

    def in_worker(self, **options: Any) -> dict[str, Any]:
        """Return its entry of models.yaml for the back end `llamacpp`."""
        template = {"chat_template": str(self.template)} if self.template else {}
        own = {"threads": THREADS, "context": CONTEXT, "temperature": 0, **template, **options}
        declared = {"task": "chat", "backend": "llamacpp", "source": str(self.file)}
        return {**declared, "options": own}

    def at_server(self, url: str, **options: Any) -> dict[str, Any]:
        """Return its entry of models.yaml for a server at `url`, by the back end `openai`."""
        own = {"base_url": f"{url}/v1", "temperature": 0, **options}
        return {"task": "chat", "backend": "openai", "source": self.name, "options": own}


def find_models(names: str = "") -> list[LocalModel]:
    """Find the models that are here: all, or those of a list with commas; ends without any."""
    folder = os.environ.get(VARIABLE, "")
    root = Path(folder).expanduser().absolute()
    found = [
        LocalModel(each.name, each.in_folder(root))
        for each in _choose(names)
        if folder and each.in_folder(root).is_file()
    ]
    if not found:
        where = f"{root} has none of them" if folder else f"{VARIABLE} names no folder"
        sys.exit(f"No language model: {where}; `make test-models` gets them.")
    return found


def _choose(names: str) -> Sequence[ModelFile]:
    chosen = [name for name in names.split(",") if name]
    if unknown := set(chosen) - {each.name for each in CHAT_MODELS}:
        known = ", ".join(each.name for each in CHAT_MODELS)
        sys.exit(f"Unknown: {', '.join(sorted(unknown))}. There are: {known}.")
    return [each for each in CHAT_MODELS if not chosen or each.name in chosen]
