"""Adds models to this installation, and removes them.

Owns the changes of the user's models.yaml, one at a time. What is found is `lookup`'s; files are
got by the pulls. Invariant: a model is declared once it was found and could be loaded here.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from config.errors import Conflict, Invalid, NotFound, nearest
from config.files import read_text, replace_file, storage_errors
from config.settings import Settings
from models.additions.candidate import Candidate, check_name
from models.additions.lookup import Lookup
from models.additions.memory_check import check_memory
from models.additions.missing import MissingModel, list_missing
from models.additions.roles import RolePlan, plan_role
from models.backends import BACKENDS
from models.backends.llamacpp.removal import remove_files
from models.catalog.editing import add_model, remove_model, set_role
from models.catalog.profiles import load_profiles
from models.catalog.spec import ModelSpec, Task
from models.catalog.watch import ModelsWatch
from models.manager import Models
from models.pulls import PullJob


@dataclass(frozen=True, slots=True)
class AdditionRequest:
    """What to add: `model` as `Lookup.find` reads it, and what shall differ from what is found.

    `projector`: a GGUF file by which the model sees.
    """

    model: str
    name: str | None = None
    task: Task | None = None
    projector: Path | None = None


@dataclass(frozen=True, slots=True)
class Addition:
    """What was added. `job` gets its files, None where all are here.

    `role` asks for it first from now on. `problem`: why it cannot be loaded although it is here;
    no role asks for it then.
    """

    candidate: Candidate
    role: str | None = None
    job: PullJob | None = None
    problem: str | None = None


class Additions:
    """Adds to and removes from the models of `watch`."""

    def __init__(self, settings: Settings, models: Models, watch: ModelsWatch) -> None:
        self._settings = settings
        self._models = models
        self._watch = watch
        self._turn = asyncio.Lock()

    async def add(self, request: AdditionRequest, *, is_owner: bool) -> Addition:
        """Find a model, declare it, and begin to get it. Adding it again goes on with that.

        Raises as `Lookup.find` does, `Unavailable` (`insufficient_memory`), `Conflict`
        (`model_exists`, `models_file_not_editable`) and `Invalid` (`invalid_model_name`).
        """
        lookup = Lookup(await asyncio.to_thread(load_profiles), self._settings.home)
        candidate = _apply(request, await lookup.find(request.model, is_owner=is_owner))
        check_name(candidate.name)
        check_memory(candidate, self._models.memory())
        spec = _check_entry(candidate)
        is_here = candidate.download_bytes == 0
        problem = await self._find_problem(spec) if is_here else None
        async with self._turn:
            plan = await self._declare(spec, candidate.entry, with_role=problem is None)
        job = None if is_here else await self._pull(candidate.name)
        return Addition(candidate, plan.role if plan.preferred else None, job, problem)

    async def _find_problem(self, spec: ModelSpec) -> str | None:
        return await (await self._models.drivers.open(spec.backend)).available(spec)

    async def _pull(self, name: str) -> PullJob:
        job = self._models.pulls.start(name)
        await self._models.pulls.wait_saved()
        return job

    async def remove(self, name: str) -> int:
        """Take a model out of the user's models.yaml; whoever uses it ends first.

        Deletes what was pulled for it, of GGUF models, and returns how many bytes that freed.
        Raises `NotFound` (`model_not_found`), `Conflict` (`model_read_only`,
        `models_file_not_editable`).
        """
        async with self._turn:
            spec = self._models.file.models.get(name)
            if spec is None:
                hint = nearest(name, list(self._models.file.models))
                raise NotFound(
                    f"There is no model '{name[:80]}'. {hint}",
                    code="model_not_found",
                    details={"field": "model"},
                )
            await self._change(lambda text: remove_model(text, name))
        others = self._models.file.models.values()
        if spec.backend != "llamacpp" or any(each.source == spec.source for each in others):
            return 0
        with storage_errors("A file of the model", "deleted"):
            return await asyncio.to_thread(remove_files, spec.source, self._settings.home)

    async def list_missing(self) -> list[MissingModel]:
        """List what the roles name and could be pulled; asks for sizes where they are not known."""
        profiles = await asyncio.to_thread(load_profiles)
        return await list_missing(
            self._models.file, self._models.drivers, profiles, self._settings.home
        )

    async def _declare(
        self, spec: ModelSpec, entry: Mapping[str, Any], *, with_role: bool
    ) -> RolePlan:
        """Write the model, and its role where that would take another, into models.yaml."""
        file = self._models.file
        declared = file.models.get(spec.name)
        if declared and (declared.backend, declared.source) != (spec.backend, spec.source):
            raise Conflict(
                f"There is a model '{spec.name}' already, with another source. Give this one "
                "another name: --name NAME.",
                code="model_exists",
                details={"field": "name"},
            )
        models = file.models if declared else {**file.models, spec.name: spec}
        plan = plan_role(file.model_copy(update={"models": models}), declared or spec)
        # An environment's list is not written into what all environments have in common.
        if not with_role or (self._settings.environment and plan.names):
            plan = RolePlan(plan.role, None, preferred=False)

        def edit(text: str) -> str:
            text = text if declared else add_model(text, spec.name, entry)
            return set_role(text, plan.role, plan.names) if plan.names else text

        if not declared or plan.names:
            await self._change(edit)
        return plan

    async def _change(self, edit: Callable[[str], str]) -> None:
        """Edit the user's file, and use it from now on. Raises what is wrong with the file."""
        if self._watch.problem is None:
            await asyncio.to_thread(_rewrite, self._settings.models_file, edit)
            await self._watch.refresh()
        if self._watch.problem:
            raise self._watch.problem


def _apply(request: AdditionRequest, candidate: Candidate) -> Candidate:
    """Return the candidate as the request wants it."""
    if request.projector and candidate.backend != "llamacpp":
        raise Invalid(
            f"A projector is for a GGUF model, and '{candidate.name}' is none.",
            code="invalid_model_source",
            details={"field": "projector"},
        )
    options = dict(candidate.options)
    if request.projector:
        options["projector"] = str(request.projector)
    return replace(
        candidate,
        name=request.name or candidate.name,
        task=request.task or candidate.task,
        options=options,
    )


def _check_entry(candidate: Candidate) -> ModelSpec:
    """Make the spec of an entry. Raises `Invalid` (`unknown_backend`)."""
    if candidate.backend not in BACKENDS:
        raise Invalid(
            f"'{candidate.name}' takes the back end '{candidate.backend}', which is not here.",
            code="unknown_backend",
            details={"field": "model"},
        )
    return ModelSpec(name=candidate.name, **candidate.entry)


def _rewrite(path: Path, edit: Callable[[str], str]) -> None:
    # Behind a link may lie a file that others read too: it stays a link, with the file's mode.
    file = Path(os.path.realpath(path))
    with storage_errors("models.yaml"):
        exists = file.exists()
        text = edit(read_text(file) if exists else "")
        mode = stat.S_IMODE(file.stat().st_mode) if exists else None
        replace_file(file, text)
        if mode is not None:
            file.chmod(mode)
