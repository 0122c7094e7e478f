"""How fast a model speaks: each kind has its own way to be told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def has_speed(model: Any) -> bool:
    return hasattr(model, "length_scale") or _takes_speed(model)


@contextmanager
def speaking_rate(model: Any, speed: float) -> Iterator[dict[str, Any]]:
    """Make the model speak so fast; yield the arguments that its call then needs."""
    if speed == 1.0:
        yield {}
    elif _takes_speed(model):
        yield {"speed": speed}
    else:
        own = model.length_scale
        model.length_scale = own / speed
        try:
            yield {}
        finally:
            model.length_scale = own


def _takes_speed(model: Any) -> bool:
    return str(model.config.model).lower() == "xtts"
