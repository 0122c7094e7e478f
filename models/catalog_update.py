"""What follows for loaded models when models.yaml says something else than before."""

from __future__ import annotations

from config.errors import MotetError
from models.backends import BACKENDS
from models.catalog.file import ModelsFile
from models.catalog.spec import ModelSpec
from models.driver_cache import DriverCache
from models.executor import EffectExecutor


def apply_update(
    before: ModelsFile, after: ModelsFile, drivers: DriverCache, executor: EffectExecutor
) -> None:
    """Have the scheduler and the drivers go by another file from now on.

    A loaded model whose entry has changed or is missing now, or whose back end's has, serves the
    work under way; who asks next gets it loaded anew.
    """
    scheduler = executor.scheduler
    renewed = [each for each in BACKENDS if before.backends.get(each) != after.backends.get(each)]
    for backend in renewed:
        drivers.renew(backend)
    executor.carry_out(scheduler.set_caps(after.memory_cap_bytes))
    for name, slot in list(scheduler.slots.items()):  # a copy: each report may remove slots
        if spec := after.models.get(name):
            _replace_spec(spec, drivers, executor)
        if slot.spec.backend in renewed or (name in before.models and not spec):
            executor.carry_out(scheduler.drain(name))


def _replace_spec(spec: ModelSpec, drivers: DriverCache, executor: EffectExecutor) -> None:
    try:
        placements = drivers.get(spec.backend).estimate(spec)
    except MotetError:  # its options are wrong: who asks for it next gets the error
        executor.carry_out(executor.scheduler.drain(spec.name))
    else:
        executor.carry_out(executor.scheduler.replace_spec(spec, placements))
