"""From what somebody types to the model that could be added.

Owns the order in which a text is understood: a name of profiles.yaml, a path, a source of a back
end, a repository of the Hub, a tag of a registry. Asks the Hub and registries how large their
models are; fetches nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.errors import NotFound, nearest
from models.additions.candidate import Candidate, name_after
from models.additions.local_models import describe_path
from models.additions.repositories import describe_repository
from models.additions.tags import describe_tag
from models.backends.common.sources import is_hub_name, is_path
from models.backends.llamacpp.sources import (
    FORMS,
    HubModel,
    LocalFile,
    RegistryModel,
    parse_source,
)
from models.catalog.profiles import Profiles
from models.pulls.hub import BACKENDS as HUB_BACKENDS
from models.pulls.hub import HubPuller
from models.pulls.registry import RegistryPuller
from models.pulls.registry_store import MODELS_FOLDER
from models.pulls.targets import check_registry


@dataclass(frozen=True, slots=True)
class Lookup:
    """Finds models. `home` is the data folder; only the owner may have any registry asked."""

    profiles: Profiles
    home: Path

    async def find(self, text: str, *, is_owner: bool) -> Candidate:
        """Find the model for a text; a path is one of this machine, and absolute.

        Raises `NotFound` (`model_not_found`) with the nearest name, `Invalid`
        (`invalid_model_source`, `not_pullable`), and what the Hub and registries refuse with.
        """
        if offer := self.profiles.offers.get(text):
            return Candidate(
                text,
                offer.task,
                offer.backend,
                offer.source,
                download_bytes=offer.download_bytes,
                memory_bytes=offer.memory_bytes,
                license=offer.license,
                note=offer.note,
            )
        if is_path(text):
            return await describe_path(Path(text))
        backend, _, source = text.partition("/")
        if backend == "ollama" and source:
            check_registry(source, backend)
            return Candidate(name_after(source.replace(":", "-")), "chat", backend, source)
        if backend in (*HUB_BACKENDS, "llamacpp") and "/" in source:
            text = source
        return await self._find_remote(text, is_owner)

    async def _find_remote(self, text: str, is_owner: bool) -> Candidate:
        if "/" not in text:
            hint = nearest(text, list(self.profiles.offers))
            raise NotFound(
                f"There is no model '{text[:80]}' to be added. {hint} Or name {FORMS}.",
                code="model_not_found",
                details={"field": "model"},
            )
        if is_hub_name(text) and not _is_host(text.partition("/")[0]):
            return await describe_repository(HubPuller(), HubModel(text))
        match parse_source(text, "model"):
            case HubModel() as model:
                return await describe_repository(HubPuller(), model)
            case RegistryModel() as model:
                if not is_owner:
                    check_registry(text, "llamacpp")
                return await describe_tag(RegistryPuller(self.home / MODELS_FOLDER), model, text)
            case LocalFile(path):
                return await describe_path(path)


def _is_host(text: str) -> bool:
    return "." in text and text.rpartition(".")[2].isalpha()
