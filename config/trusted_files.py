"""Files that decide what runs as this user: nobody else may be able to change them.

Owns which files are trusted: the user's own, or the system's, in a folder of which that holds too.
A group of the user alone, as many systems make one for each user, counts as the user.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

from config.errors import Invalid


def check_trusted(file: Path) -> None:
    """Check that only this user, or the system's, can change a file; blocks.

    Raises `Invalid` (`untrusted_file`) saying what to do. A file that is not there passes.
    """
    real = Path(os.path.realpath(file))
    for path in dict.fromkeys((real, real.parent, file.parent)):
        try:
            status = path.stat()
        except FileNotFoundError:
            return
        if reason := _find_fault(path, status):
            raise Invalid(
                f"{file} is not run: {reason}",
                code="untrusted_file",
                details={"file": str(file)},
            )


def _find_fault(path: Path, status: os.stat_result) -> str | None:
    what = f"the folder {path}" if stat.S_ISDIR(status.st_mode) else "the file"
    if status.st_uid not in (0, os.geteuid()):
        user = _user_name(os.geteuid())
        return (
            f"{what} belongs to {_user_name(status.st_uid)}, and the service runs as {user}. "
            f"Read it, and take it over: chown {user} '{path}'"
        )
    # In a folder such as /tmp everybody may make files, but change only his own.
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return None
    if status.st_mode & stat.S_IWOTH:
        return f"everybody can change {what}. Read it, and close it: chmod go-w '{path}'"
    if status.st_mode & stat.S_IWGRP and not _is_private_group(status):
        return (
            f"the group {_group_name(status.st_gid)} can change {what}. Read it, and close it: "
            f"chmod g-w '{path}'"
        )
    return None


def _is_private_group(status: os.stat_result) -> bool:
    """Return whether the file's owner is the only member of its group."""
    try:
        owner, group = pwd.getpwuid(status.st_uid), grp.getgrgid(status.st_gid)
    except KeyError:
        return False
    return owner.pw_gid == group.gr_gid and set(group.gr_mem) <= {owner.pw_name}


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _group_name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)
