"""Reading memory as a container must."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from models.devices.host import HostMemory

MB = 2**20


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("__", ".")).write_text(f"{value}\n")


def test_without_a_limit_the_machine_is_read(tmp_path: Path) -> None:
    write(tmp_path / "own", memory__max="max", memory__current=5, memory__stat="inactive_file 1")
    (tmp_path / "cgroup").write_text("0::/own\n")
    memory = HostMemory(tmp_path, tmp_path / "cgroup").read()["ram"]
    assert memory.total_bytes == psutil.virtual_memory().total
    assert 0 < memory.available_bytes <= memory.total_bytes


@pytest.mark.parametrize("seen_as", ["0::/outer/own", "0::/outer", "0::/unseen/path"])
def test_the_tightest_limit_above_counts_and_page_cache_is_free(
    tmp_path: Path, seen_as: str
) -> None:
    stat = f"anon 1\ninactive_file {10 * MB}"
    write(tmp_path, memory__max=40 * MB, memory__current=30 * MB, memory__stat=stat)
    write(
        tmp_path / "outer" / "own",
        memory__max=100 * MB,
        memory__current=30 * MB,
        memory__stat=stat,
    )
    (tmp_path / "cgroup").write_text(f"{seen_as}\n")
    memory = HostMemory(tmp_path, tmp_path / "cgroup").read()["ram"]
    assert memory.total_bytes == 40 * MB
    assert memory.available_bytes == 20 * MB


def test_the_first_version_of_cgroups_is_read_too(tmp_path: Path) -> None:
    write(
        tmp_path / "memory" / "own",
        memory__limit_in_bytes=64 * MB,
        memory__usage_in_bytes=70 * MB,
        memory__stat="total_inactive_file 0",
    )
    (tmp_path / "cgroup").write_text("3:cpu:/own\n5:memory:/own\n0::/own\n")
    memory = HostMemory(tmp_path, tmp_path / "cgroup").read()["ram"]
    assert (memory.total_bytes, memory.available_bytes) == (64 * MB, 0)


def test_without_cgroups_the_machine_is_read(tmp_path: Path) -> None:
    memory = HostMemory(tmp_path, tmp_path / "nothing").read()["ram"]
    assert memory.total_bytes == psutil.virtual_memory().total


def test_files_that_are_mapped_are_not_free_although_the_kernel_calls_them_available(
    tmp_path: Path,
) -> None:
    def read(mapped_kib: int) -> int:
        write(tmp_path, meminfo=f"MemFree: 1 kB\nMapped: {mapped_kib} kB\nShmem: 1024 kB")
        memory = HostMemory(tmp_path, tmp_path / "nothing", tmp_path / "meminfo").read()["ram"]
        return memory.available_bytes

    free, with_weights = read(1024), read(2**20 + 1024)

    # Other processes take and give memory meanwhile.
    assert free - with_weights > 900 * MB


@pytest.mark.parametrize(
    ("active", "mapped", "free"),
    [(0, 0, 20 * MB), (10 * MB, 10 * MB, 20 * MB), (0, 8 * MB, 12 * MB)],
)
def test_page_cache_that_is_mapped_counts_as_used_in_a_cgroup(
    tmp_path: Path, active: int, mapped: int, free: int
) -> None:
    stat = f"inactive_file {10 * MB}\nactive_file {active}\nfile_mapped {mapped}"
    write(tmp_path, memory__max=40 * MB, memory__current=30 * MB, memory__stat=stat)
    (tmp_path / "cgroup").write_text("0::/\n")

    memory = HostMemory(tmp_path, tmp_path / "cgroup").read()["ram"]

    assert memory.available_bytes == free
