"""Models of the Hugging Face Hub, by what their repositories hold."""

from __future__ import annotations

from config.errors import Invalid, NotFound
from models.additions.candidate import Candidate, guess_task, name_after
from models.backends.llamacpp.sources import HubModel
from models.catalog.recognition import GGUF, recognise
from models.pulls.files import RemoteFile, select_files
from models.pulls.gguf_files import list_quantisations, select_gguf
from models.pulls.hub import HubPuller, RepositoryListing


async def describe_repository(hub: HubPuller, model: HubModel) -> Candidate:
    """Describe a model of the Hub: one in GGUF where there is any, else what the files are.

    Raises `NotFound` (`model_not_found`), `Invalid` (`invalid_model_source`), and as
    `HubPuller.pull` does.
    """
    listing = await hub.list_files(model.repository)
    recognised = recognise(listing.sizes, listing.config)
    if recognised == GGUF or model.file or model.quantisation:
        return _describe_gguf(model, listing)
    if recognised is None:
        raise Invalid(
            f"'{model.repository}' holds no model that is known: no GGUF file, and no config.json "
            "by which its kind could be told. Declare it in models.yaml, with task and back end.",
            code="invalid_model_source",
            details={"field": "model"},
        )
    files = [RemoteFile(path, size, "", large=False) for path, size in listing.sizes.items()]
    size = sum(file.size for file in select_files(files))
    name = name_after(model.repository.partition("/")[2])
    return Candidate(
        name,
        recognised.task,
        recognised.backend,
        model.repository,
        download_bytes=size,
        memory_bytes=size,
    )


def _describe_gguf(model: HubModel, listing: RepositoryListing) -> Candidate:
    paths = list(listing.sizes)
    selected = select_gguf(paths, model.file, model.quantisation)
    if selected is None:
        present = ", ".join(list_quantisations(paths)[:20]) or "no GGUF model"
        raise NotFound(
            f"'{model.repository}' has no {model.file or model.quantisation}; it has {present}.",
            code="model_not_found",
            details={"field": "model"},
        )
    size = sum(listing.sizes[path] for path in selected.paths)
    return Candidate(
        name_after(model.repository.partition("/")[2]),
        guess_task(model.repository),
        GGUF.backend,
        # The file itself: what is usual in a repository may change.
        f"hf.co/{model.repository}/{selected.parts[0]}",
        download_bytes=size,
        memory_bytes=size,
    )
