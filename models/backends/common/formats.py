"""What kind of model a file or a folder holds, so that a wrong one is named as what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.backends.common.gguf import is_gguf


@dataclass(frozen=True, slots=True)
class ModelFormat:
    """A kind of model: `name` with its article, and the back end that runs it."""

    name: str
    backend: str

    def refusal(self, path: Path) -> str:
        """Tell that another back end was handed this, and which takes it."""
        return f"{path} is {self.name}: it is for the back end `{self.backend}`."


GGUF = ModelFormat("a GGUF model", "llamacpp")
CTRANSLATE2 = ModelFormat("a CTranslate2 model", "faster_whisper")
DIFFUSERS = ModelFormat("a Diffusers pipeline", "diffusers")
SAFETENSORS = ModelFormat("a model with weights as safetensors", "transformers")
CTRANSLATE2_WEIGHTS = "model.bin"
VOCABULARIES = ("vocabulary.*", "shared_vocabulary.*", "*_vocabulary.*")


def detect_format(path: Path) -> ModelFormat | None:
    """Tell what a file or a folder holds, by its names and first bytes; None when that is unknown.

    A folder with several kinds has the one that most libraries read.
    """
    if path.is_file():
        if is_gguf(path):
            return GGUF
        return SAFETENSORS if path.suffix == ".safetensors" else None
    if (path / "model_index.json").is_file():
        return DIFFUSERS
    if next(path.glob("*.safetensors"), None):
        return SAFETENSORS
    if next(filter(is_gguf, path.glob("*.gguf")), None):
        return GGUF
    if (path / CTRANSLATE2_WEIGHTS).is_file() and any(
        next(path.glob(pattern), None) for pattern in VOCABULARIES
    ):
        return CTRANSLATE2
    return None


def why_foreign(path: Path, backends: tuple[str, ...]) -> str | None:
    """Tell what a path holds that is for none of `backends`; None when that is not known."""
    kind = detect_format(path)
    return None if kind is None or kind.backend in backends else kind.refusal(path)
