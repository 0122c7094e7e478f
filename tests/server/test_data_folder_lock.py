"""The lock of the data folder goes with whatever may still act on it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest

from server.data_folder import LOCK_FILE, lock_data_folder


def is_locked(home: Path) -> bool:
    with (home / LOCK_FILE).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize(("still_used", "locked"), [(lambda: False, False), (lambda: True, True)])
def test_the_lock_stays_with_the_process_while_functions_of_users_run(
    tmp_path: Path, still_used: Callable[[], bool], locked: bool
) -> None:
    with lock_data_folder(tmp_path, still_used):
        assert is_locked(tmp_path)

    assert is_locked(tmp_path) == locked
