"""What a reload of agent files changed, and what the log says of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from config.errors import MotetError
from graphs.loading.folders import LoadedAgents

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reload:
    """What a reload changed, by agent name."""

    changed: tuple[str, ...]
    removed: tuple[str, ...]


def log_problems(
    loaded: LoadedAgents, problems_before: Mapping[str, MotetError], level: int
) -> None:
    """Log what is wrong now: a file that stays wrong is logged once, not at each reload."""
    for file, problem in loaded.problems.items():
        if str(problems_before.get(file)) != str(problem):
            log.log(level, "agent file not loaded: %s", problem.message)


def log_reload(
    reload: Reload, loaded: LoadedAgents, problems_before: Mapping[str, MotetError]
) -> None:
    """Log what a reload changed."""
    log_problems(loaded, problems_before, logging.WARNING)
    for name in reload.changed:
        log.info("agent %s loaded: version %s", name, loaded.agents[name].version)
    for name in reload.removed:
        log.info("agent %s removed", name)
