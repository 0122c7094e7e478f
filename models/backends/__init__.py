"""The back ends: one driver each (see `models.driver`).

A driver's module is imported when a model of its back end is first asked about, or ahead of that.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from models.driver import Driver, DriverContext

BACKENDS: dict[str, str] = {
    "ollama": "models.backends.ollama.driver:OllamaDriver",
    "llamacpp": "models.backends.llamacpp.driver:LlamaCppDriver",
    "openai": "models.backends.openai.driver:OpenAIDriver",
    "reader": "models.backends.reader.driver:ReaderDriver",
    "minilm": "models.backends.minilm.driver:MiniLMDriver",
    "cross_encoder": "models.backends.cross_encoder.driver:CrossEncoderDriver",
    "faster_whisper": "models.backends.faster_whisper.driver:FasterWhisperDriver",
    "transformers": "models.backends.transformers.driver:TransformersDriver",
    "sentence_transformers": "models.backends.sentence_transformers.driver:"
    "SentenceTransformersDriver",
    "describer": "models.backends.describer.driver:DescriberDriver",
    "diffusers": "models.backends.diffusers.driver:DiffusersDriver",
    "coqui": "models.backends.coqui.driver:CoquiDriver",
    "espeak": "models.backends.espeak.driver:EspeakDriver",
}


def import_drivers() -> None:
    """Import the module of every driver. Blocks for a part of a second."""
    for backend in BACKENDS:
        import_driver(backend)


def import_driver(backend: str) -> None:
    """Import the module of the driver of `backend`, which is a key of `BACKENDS`; blocks."""
    import_module(BACKENDS[backend].partition(":")[0])


def build_driver(backend: str, context: DriverContext) -> Driver:
    """Import and construct the driver of `backend`, which is a key of `BACKENDS`."""
    module, name = BACKENDS[backend].split(":")
    return cast(Driver, getattr(import_module(module), name)(context))
