"""The cores that this process may use."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from models.devices.cores import count_cores


@pytest.mark.parametrize("quota", ["max 100000", "", "one two", "50000 0"])
def test_without_a_quota_all_physical_cores_count(quota: str, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(quota)

    assert 1 <= count_cores(tmp_path) <= (psutil.cpu_count() or 1)
    assert count_cores(tmp_path) == count_cores(tmp_path / "absent")


@pytest.mark.parametrize("quota", ["100000 100000", "50000 100000"])
def test_quota_of_a_container_bounds_them(quota: str, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(quota)

    assert count_cores(tmp_path) == 1
