"""What a process takes of RAM, with the files that it maps."""

from __future__ import annotations

import mmap
import os
import tempfile

import psutil

from models.workers.memory import map_data_files, measure_ram, sum_ram

MIB = 2**20
MAPS = """\
7f0000000000-7f0000100000 r--p 00000000 fd:00 11  /usr/lib/libtorch.so
7f0000100000-7f0000900000 r-xp 00100000 fd:00 11  /usr/lib/libtorch.so
7f1000000000-7f1040000000 r--s 00000000 fd:00 12  /models/my weights.safetensors
7f2000000000-7f2040000000 r--s 00000000 fd:00 12  /models/my weights.safetensors
7f3000000000-7f3010000000 rw-s 00000000 00:05 13  /dev/nvidia0
7f4000000000-7f4010000000 rw-p 00000000 00:00 0
7f5000000000-7f5010000000 rw-p 00000000 00:00 0  [heap]
""".splitlines()


def status(anon: int, file: int) -> list[str]:
    kib = 1024
    return ["Name: python", f"RssAnon:\t {anon * kib} kB", f"RssFile:\t {file * kib} kB"]


def test_data_files_are_told_from_libraries_devices_and_memory_without_a_file() -> None:
    assert map_data_files(MAPS) == {"/models/my weights.safetensors": 1024 * MIB}


def test_mapped_weights_count_whole_however_much_of_them_is_resident() -> None:
    resting, at_work = status(anon=100, file=200), status(anon=100, file=1224)

    assert sum_ram(resting, MAPS) == 1124 * MIB
    assert sum_ram(at_work, MAPS) == 1324 * MIB


def test_process_that_maps_nothing_takes_what_is_resident() -> None:
    assert sum_ram(status(anon=100, file=200), MAPS[:2]) == 300 * MIB


def test_own_mapping_counts_before_a_page_of_it_was_read() -> None:
    """Not in `tmp_path`, which may be below /dev, where a mapping is taken for shared memory."""
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as weights:
        weights.truncate(4096 * MIB)
        before = measure_ram(os.getpid())
        with mmap.mmap(weights.fileno(), 0, prot=mmap.PROT_READ):
            during = measure_ram(os.getpid())

    assert during - before > 3000 * MIB
    assert before >= psutil.Process().memory_info().rss // 2
