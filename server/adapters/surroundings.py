"""What there is around agents' files: tools, models, indexes, of a server or of a data folder."""

from __future__ import annotations

from functools import partial

from config.settings import Settings
from graphs.loading.outside import Surroundings
from indexes.service import Indexes
from indexes.spec import declared_indexes
from indexes.storage.names import read_index_names
from models.catalog.file import load_models
from models.catalog.names import find_name_problem, list_voices
from models.manager import Models
from server.adapters.declarations import declared_drivers
from tools.registry import Toolbox, declare_tools


def read_surroundings(settings: Settings, tenant: str) -> Surroundings:
    """Read what a data folder has; changes nothing. Blocks, and imports the user's own tools.

    Raises `Invalid` (`invalid_models_file`, `invalid_indexes_file`) for a file that cannot be read.
    """
    stored = read_index_names(settings.home / "indexes", tenant)
    declared = declared_indexes(settings)
    toolbox = declare_tools(settings.home / "tools")
    file = load_models(settings)
    return Surroundings(
        {name: toolbox.get(name) for name in toolbox.names()},
        [problem.message for problem in toolbox.problems],
        partial(find_name_problem, file, declared_drivers(settings, file)),
        None if stored is None else {*stored, *declared},
        partial(list_voices, file),
    )


async def describe_surroundings(
    tools: Toolbox, models: Models, indexes: Indexes, tenant: str
) -> Surroundings:
    """Describe what a tenant's agents find on a running server."""
    infos = await indexes.list(tenant)
    return Surroundings(
        {name: tools.get(name) for name in tools.names()},
        [problem.message for problem in tools.problems],
        models.find_name_problem,
        {info.name for info in infos},
        models.list_voices,
    )
