"""Routes of models that are added and removed, and of what is missing of those declared."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from config.redaction import publish_details
from models.additions.additions import AdditionRequest
from models.backends.common.sources import is_path
from models.catalog.spec import Task
from server.http.access import CallerOf
from server.http.bodies import StrictBody, StrictRoute
from server.http.machine_paths import MachinePaths, MachinePathsOf
from server.http.responses import json_response
from server.services import ServicesOf

router = APIRouter(tags=["models"], route_class=StrictRoute)

EXAMPLE = {
    "model": {
        "name": "qwen2.5-0.5b",
        "task": "chat",
        "backend": "llamacpp",
        "source": "hf.co/Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf",
        "download_bytes": 491000000,
        "memory_bytes": 1100000000,
        "license": "Apache-2.0",
        "note": "",
    },
    "role": "chat",
    "problem": None,
    "pull": None,
}
ADDED: dict[int | str, dict[str, Any]] = {
    201: {
        "description": "The model is declared, and all its files are here.",
        "content": {"application/json": {"example": EXAMPLE}},
    },
    202: {"description": "The model is declared; its pull is under way at `Location`."},
}


class AddModelBody(StrictBody):
    """Which model to add to the models.yaml of this installation."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "qwen2.5-0.5b"}, {"model": "ollama.com/phi4"}]}
    )

    model: str = Field(
        min_length=1,
        max_length=500,
        description="A name of the `offers` of `GET /models/profile`, a model of the Hub "
        "(`hf.co/OWNER/REPOSITORY`, with `:Q4_K_M` or `/FILE.gguf` behind it), one of Ollama's "
        "library (`ollama.com/qwen2.5:0.5b`), or the path of a GGUF file or of a folder with a "
        "model.",
    )
    name: str | None = Field(None, max_length=64, description="What models.yaml calls it.")
    task: Task | None = Field(None, description="What it is for, where that is not what it seems.")
    projector: str | None = Field(
        None, max_length=4096, description="Path of the GGUF file by which the model sees."
    )


@router.post("/models", status_code=202, response_class=Response, responses=ADDED)
async def add_model(
    body: AddModelBody, services: ServicesOf, caller: CallerOf, paths: MachinePathsOf
) -> Response:
    """Add a model: find it, declare it in models.yaml, and begin to get its files.

    `role` asks for it first from now on; `problem` says why what is here cannot be loaded. What no
    device could ever hold is refused.
    """
    request = AdditionRequest(
        _resolve(body.model, paths), body.name, body.task, _resolve_projector(body, paths)
    )
    added = await services.model_additions.add(request, is_owner=paths.is_owner)
    report = {
        "model": added.candidate.as_dict(),
        "role": added.role,
        "problem": added.problem,
        "pull": added.job.as_dict() if added.job else None,
    }
    answer = publish_details(report, [])  # a local model's source is a path
    if added.job is None:
        return json_response(answer, 201, {"Location": f"/models/{added.candidate.name}"})
    return json_response(
        answer, 202, {"Location": f"/models/pulls/{quote(added.job.name, safe='/:@')}"}
    )


@router.get("/models/missing")
async def list_missing(services: ServicesOf, caller: CallerOf) -> Any:
    """List what the roles name and is not here, with its size; `POST /models/pull` gets each."""
    missing = await services.model_additions.list_missing()
    return {"missing": [each.as_dict() for each in missing]}


@router.delete("/models/{name}")
async def remove_model(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Take a model out of models.yaml, and delete what was pulled for it in GGUF."""
    return {"name": name, "freed_bytes": await services.model_additions.remove(name)}


def _resolve(model: str, paths: MachinePaths) -> str:
    return str(paths.resolve(model, "model")) if is_path(model) else model


def _resolve_projector(body: AddModelBody, paths: MachinePaths) -> Path | None:
    return paths.resolve(body.projector, "projector") if body.projector else None
