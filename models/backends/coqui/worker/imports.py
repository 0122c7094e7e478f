"""Imports of coqui-tts, which asks for more libraries than most of its models use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import soundfile
import torch

from config.errors import Unavailable

AUDIO, CODEC, COMPILED = "torchaudio", "torchcodec", "torchaudio._extension"


@contextmanager
def importable() -> Iterator[None]:
    """Make TTS and its models importable within the block.

    It refuses to be imported unless torchaudio and torchcodec are found. torchaudio is used where
    it is, without its compiled part where that is made for another PyTorch. Only where there is
    none, empty modules stand in for the time of the imports; a model that then asks them for
    something says what is missing.
    """
    stand_ins = []
    if not _real_torchaudio():
        stand_ins.append(AUDIO)
    if find_spec(CODEC) is None:
        stand_ins.append(CODEC)
    for name in stand_ins:
        sys.modules[name] = _StandIn(name)
    try:
        yield
    finally:
        # While they stay, other libraries believe that they have torchaudio.
        for name in stand_ins:
            del sys.modules[name]


class _StandIn(ModuleType):
    """A module of which nothing can be had."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, is_package=True)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Unavailable(
            f"This model needs {self.__name__}. Install the one for your PyTorch, as in "
            f"`pip install {self.__name__}`.",
            code="library_missing",
            details={"package": self.__name__},
        )


def _real_torchaudio() -> bool:
    if find_spec(AUDIO) is None:
        return False
    try:
        audio = importlib.import_module(AUDIO)
    except Exception:  # its compiled part was made for another PyTorch, or for CUDA
        audio = _without_compiled_part()
    audio.load = _load  # type: ignore[attr-defined]
    return True


def _without_compiled_part() -> ModuleType:
    for name in [name for name in sys.modules if name.partition(".")[0] == AUDIO]:
        del sys.modules[name]
    compiled = ModuleType(COMPILED)
    compiled._IS_TORCHAUDIO_EXT_AVAILABLE = False  # type: ignore[attr-defined]
    compiled._IS_ALIGN_AVAILABLE = False  # type: ignore[attr-defined]
    compiled.fail_if_no_align = lambda function: function  # type: ignore[attr-defined]
    sys.modules[COMPILED] = compiled
    return importlib.import_module(AUDIO)


def _load(path: Any) -> tuple[torch.Tensor, int]:
    """Load as `torchaudio.load`, for the WAV files that we write, without torchcodec and FFmpeg."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return torch.from_numpy(samples.T.copy()), rate
