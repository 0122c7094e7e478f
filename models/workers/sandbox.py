"""The worker's side of its confinement: no network, no programs, no files but the installation's.

Owns two means of Linux that need no privileges and that a process never gets rid of again, nor do
its children: a seccomp filter and Landlock. Both are set before the worker has other threads and
before anything foreign is read. Elsewhere, and on kernels without them, Python itself refuses
sockets and programs, which native code that was taken over would pass by.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

PR_SET_NO_NEW_PRIVS, SECCOMP_SET_MODE_FILTER, FILTER_FLAG_TSYNC = 38, 1, 1
LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 13
"""What the filter returns: go on, or fail with EACCES."""
NUMBER_AT, ARCH_AT, FIRST_ARGUMENT_AT = 0, 4, 16
"""Offsets in <linux/seccomp.h>'s `seccomp_data`."""
X32_CALLS = 0x40000000
LOCAL_FAMILIES = (1, 16)
"""AF_UNIX and AF_NETLINK: drivers of accelerators talk to their daemons by the first."""

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Landlock's system calls, the same everywhere."""
READ_RIGHTS = 0b1101
"""Run, read a file, read a folder."""
FILE_RIGHTS = 0b0111 | 1 << 14
"""Those of all rights that a single file can have."""
SCOPES = 0b11
"""Abstract sockets and signals, which then reach only what this process has started."""
READABLE = (
    *("/usr", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/sys/devices/system"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm", "/proc/filesystems"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/etc/passwd", "/etc/nsswitch.conf"),
    *("/etc/fonts", "/dev/urandom", "/dev/random", "/dev/zero"),
)


class SystemCalls(NamedTuple):
    """Numbers of one architecture. `foreign` read other processes, or open sockets by a ring;
    `programs` start programs, or take what others have open."""

    audit_arch: int
    seccomp: int
    socket: int
    foreign: Sequence[int]
    programs: Sequence[int]


SYSTEM_CALLS = {
    "x86_64": SystemCalls(0xC000003E, 317, 41, (101, 310, 311, 425), (59, 322, 438)),
    "aarch64": SystemCalls(0xC00000B7, 277, 198, (117, 270, 271, 425), (221, 281, 438)),
}


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction)))


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("file_rights", ctypes.c_uint64),
        ("network_rights", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def refuse_network(*, programs: bool) -> None:
    """Refuse sockets to other machines from now on, and to take part in other processes.

    Without `programs` also every other socket, and to start a program.
    """
    calls = SYSTEM_CALLS.get(platform.machine())
    if sys.platform != "linux" or calls is None or not _install(_filter(calls, programs)):
        sys.addaudithook(_refuse_sockets if programs else _refuse_sockets_and_programs)


def restrict_files(writable: Collection[str] = ()) -> bool:
    """Let this process read the installation alone, and write below `writable`.

    Returns whether the kernel does so.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, 0, 1) if sys.platform == "linux" else -1
    if version < 1:
        return False
    rights = {1: 0x1FFF, 2: 0x3FFF}.get(version, 0x7FFF)
    ruleset = _Ruleset(rights, 0, SCOPES if version >= 6 else 0)
    size = ctypes.sizeof(_Ruleset) if version >= 6 else 8
    descriptor = libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    if descriptor < 0:
        return False
    try:
        for path in {*READABLE, *_installation()}:
            _allow(libc, descriptor, path, READ_RIGHTS)
        for path in {*writable, "/dev/null"}:
            _allow(libc, descriptor, path, rights)
        # Not all of /proc: the server's environment stands there. It stays open, or the kernel may
        # forget the folder, and the right to read it with it.
        own = os.open("/proc/self", os.O_PATH | os.O_CLOEXEC)
        _allow(libc, descriptor, f"/proc/self/fd/{own}", READ_RIGHTS)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return bool(libc.syscall(RESTRICT_SELF, descriptor, 0) == 0)
    finally:
        os.close(descriptor)


def _installation() -> Iterator[str]:
    """Yield the folders that Python imports from."""
    yield from (sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(sys.executable).resolve()))
    yield from (path for path in sys.path if path)


def _allow(libc: Any, ruleset: int, path: str, rights: int) -> None:
    with suppress(OSError):  # what is not there needs no right
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            allowed = rights if os.path.isdir(path) else rights & FILE_RIGHTS
            rule = _PathRule(allowed, opened)
            libc.syscall(ADD_RULE, ruleset, 1, ctypes.byref(rule), 0)
        finally:
            os.close(opened)


def _filter(calls: SystemCalls, programs: bool) -> list[_Instruction]:
    """Build the filter: a list of checks, then "allow", then "refuse"."""
    refused = [*calls.foreign, *(() if programs else calls.programs)]
    families = LOCAL_FAMILIES if programs else ()
    # (code, value, jump if true, jump if false); jumps are to a label, None goes on.
    steps: list[tuple[int, int, str | None, str | None]] = [
        (LOAD, ARCH_AT, None, None),
        (JUMP_EQUAL, calls.audit_arch, None, "refuse"),
        (LOAD, NUMBER_AT, None, None),
        (JUMP_GREATER_EQUAL, X32_CALLS, "refuse", None),
        *((JUMP_EQUAL, number, "refuse", None) for number in refused),
        (JUMP_EQUAL, calls.socket, None, "allow"),
        (LOAD, FIRST_ARGUMENT_AT, None, None),
        *((JUMP_EQUAL, family, "allow", None) for family in families),
        (RETURN, REFUSE, None, None),
        (RETURN, ALLOW, None, None),
    ]
    labels = {"refuse": len(steps) - 2, "allow": len(steps) - 1}
    return [
        _Instruction(code, *(labels[to] - at - 1 if to else 0 for to in (true, false)), value)
        for at, (code, value, true, false) in enumerate(steps)
    ]


def _install(instructions: Sequence[_Instruction]) -> bool:
    array = (_Instruction * len(instructions))(*instructions)
    program = _Program(len(instructions), array)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    number = SYSTEM_CALLS[platform.machine()].seccomp
    # With all threads: numeric libraries of a spare process have begun some.
    result = libc.syscall(number, SECCOMP_SET_MODE_FILTER, FILTER_FLAG_TSYNC, ctypes.byref(program))
    return bool(result == 0)


def _refuse_sockets(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.__new__" and arguments[1] not in LOCAL_FAMILIES:
        raise PermissionError("This worker has no network.")


def _refuse_sockets_and_programs(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.__new__", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        raise PermissionError("This worker has no network and starts no programs.")
