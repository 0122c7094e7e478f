"""Gets GGUF models: from the Hub into its cache, from registries into the data folder."""

from __future__ import annotations

from pathlib import Path

from config.errors import Invalid
from models.backends.llamacpp.sources import HubModel, LocalFile, RegistryModel, parse_source
from models.driver import Progress
from models.pulls.hub import HubPuller
from models.pulls.registry import RegistryPuller
from models.pulls.registry_store import MODELS_FOLDER


async def pull(source: str, home: Path, progress: Progress) -> None:
    """Pull as `Puller.pull` does; `home` is the data folder. A local file is not pulled."""
    match parse_source(source):
        case HubModel(repository, file, quantisation):
            await HubPuller().pull_gguf(repository, file, quantisation, progress)
        case RegistryModel(registry, name, tag):
            puller = RegistryPuller(home / MODELS_FOLDER)
            await puller.pull(registry, name, tag, progress)
        case LocalFile(path):
            raise Invalid(
                f"'{path}' is a file of this machine, which is not pulled.",
                code="not_pullable",
                details={"field": "name"},
            )
