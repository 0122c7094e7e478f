"""How the pictures of a request are drawn together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest


def in_batches(*arguments: Any) -> Iterator[str]:
    # Imported here: the package of the module imports diffusers, which takes seconds, and would do
    # so whenever tests are collected.
    from models.backends.diffusers.worker import batches

    return batches.in_batches(*arguments)


class Device:
    """Has room for so many pictures at once."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked: list[int] = []
        self.released = 0

    def draw(self, seeds: Sequence[int]) -> list[str]:
        self.asked.append(len(seeds))
        if len(seeds) > self.room:
            raise RuntimeError("CUDA error: out of memory")
        return [f"picture {seed}" for seed in seeds]

    def release(self) -> None:
        self.released += 1

    def drawn(self, seeds: Sequence[int], size: int) -> list[str]:
        return list(in_batches(seeds, size, self.draw, self.release))


def test_pictures_come_in_order_in_batches() -> None:
    device = Device(room=8)
    assert device.drawn(range(5), 2) == [f"picture {seed}" for seed in range(5)]
    assert device.asked == [2, 2, 1]
    assert device.released == 0


def test_a_full_device_gets_half_as_many_at_once() -> None:
    device = Device(room=2)
    assert device.drawn(range(6), 4) == [f"picture {seed}" for seed in range(6)]
    assert device.asked == [4, 2, 2, 2]
    assert device.released == 1


def test_a_batch_is_halved_once_only() -> None:
    device = Device(room=1)
    with pytest.raises(RuntimeError, match="out of memory"):
        device.drawn(range(8), 8)
    assert device.asked == [8, 4]


def test_one_picture_that_does_not_fit_is_an_error_at_once() -> None:
    device = Device(room=0)
    with pytest.raises(RuntimeError, match="out of memory"):
        device.drawn([1], 4)
    assert device.asked == [1]


def test_another_error_is_not_tried_again() -> None:
    def draw(seeds: Sequence[int]) -> list[str]:
        raise ValueError("no")

    device = Device(room=8)
    with pytest.raises(ValueError, match="no"):
        list(in_batches([1, 2], 2, draw, device.release))
    assert device.released == 0
