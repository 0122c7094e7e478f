"""What the `source` of a GGUF model may be. Pure.

Owns the forms: a file, a model of the Hugging Face Hub, a tag of a registry that speaks Ollama's
protocol. Where the files lie is `pulled_files`'s, getting them is `pull`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from config.errors import Invalid
from models.backends.common.sources import is_hub_name, is_path

HUB_HOSTS = ("hf.co", "huggingface.co")
OLLAMA_HOSTS = ("ollama.com", "registry.ollama.ai")
OLLAMA_REGISTRY = "https://registry.ollama.ai"
DEFAULT_OWNER, DEFAULT_TAG = "library", "latest"
FORMS = (
    "a file (./model.gguf), a model of the Hub (hf.co/OWNER/REPOSITORY, with :Q4_K_M or /FILE.gguf "
    "behind it), or one of Ollama's library (ollama.com/qwen2.5:0.5b)"
)
_PART = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_HOST = re.compile(r"\w[\w.-]{0,252}(:\d{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model of the Hub: one `file` of a repository, or that of a `quantisation`; else the usual.

    A model in several parts is named by its first.
    """

    repository: str
    file: str = ""
    quantisation: str = ""


@dataclass(frozen=True, slots=True)
class RegistryModel:
    """A tag of a registry; `registry` is its address, `name` has its owner, as in "library/phi"."""

    registry: str
    name: str
    tag: str

    @property
    def host(self) -> str:
        return self.registry.partition("://")[2]


GGUFSource = LocalFile | HubModel | RegistryModel


def parse_source(source: str, field: str = "source") -> GGUFSource:
    """Read a source. Raises `Invalid` (`invalid_model_source`), which lists the forms.

    `field` is what the error calls the source.
    """
    if parsed := _parse(source):
        return parsed
    raise Invalid(
        f"'{source[:120]}' names no GGUF model. It is {FORMS}.",
        code="invalid_model_source",
        details={"field": field},
    )


def _parse(source: str) -> GGUFSource | None:
    if is_path(source) or source.startswith("~"):
        return LocalFile(Path(source).expanduser())
    scheme, separator, address = source.partition("://")
    host, _, rest = (address if separator else source).partition("/")
    if host.lower() in HUB_HOSTS and scheme in ("https", source):
        return _parse_hub(rest)
    if host.lower() in OLLAMA_HOSTS and scheme in ("https", source):
        return _parse_tag(OLLAMA_REGISTRY, rest)
    if not separator:
        scheme = "https"
    if scheme in ("http", "https") and _is_other_host(host.lower()):
        return _parse_tag(f"{scheme}://{host.lower()}", rest)
    return None


def _is_other_host(host: str) -> bool:
    # A name alone is no host: it would be sought in the network's own domain.
    is_named = "." in host or ":" in host or host == "localhost"
    return is_named and host not in (*HUB_HOSTS, *OLLAMA_HOSTS) and bool(_HOST.fullmatch(host))


def _parse_hub(rest: str) -> HubModel | None:
    named, _, quantisation = rest.partition(":")
    owner, _, repository = named.partition("/")
    repository, _, file = repository.partition("/")
    name = f"{owner}/{repository}"
    if not (repository and is_hub_name(name)) or (file and not _is_gguf_path(file)):
        return None
    if quantisation and (file or not _PART.fullmatch(quantisation)):
        return None
    return HubModel(name, file, quantisation)


def _parse_tag(registry: str, rest: str) -> RegistryModel | None:
    name, _, tag = rest.partition(":")
    parts = name.split("/")
    if len(parts) == 1:
        parts = [DEFAULT_OWNER, *parts]
    tag = tag or DEFAULT_TAG
    if len(parts) != 2 or not all(map(is_plain_part, (*parts, tag))):
        return None
    return RegistryModel(registry, "/".join(parts), tag)


def is_plain_part(text: str) -> bool:
    """Tell whether a text can be a part of a name and of a path, and leads nowhere else."""
    return _PART.fullmatch(text) is not None and ".." not in text


def _is_gguf_path(path: str) -> bool:
    return path.lower().endswith(".gguf") and all(map(is_plain_part, path.split("/")))
