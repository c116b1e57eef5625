"""Temporary folders and files of ours that tell the living from the dead: their makers hold a lock on them.

The kernel takes a lock from a process that ends, however it ends. So what is not locked is nobody's, and the
next run clears it. Where a file system knows no locks, nothing is cleared.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "restora-scratch-"
_SECONDS_TO_LOCK = 10.0
"""Younger ones may not be locked yet."""
TEMPORARY = re.compile(r"\.restora-[a-z0-9_]{8}\.part")
"""What ``Disk.put`` writes to before the object is there."""


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """A folder on this machine's disk for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{purpose}-") as name:
        handle = os.open(name, os.O_RDONLY)
        try:
            lock(handle)
            yield Path(name)
        finally:
            os.close(handle)


def lock(handle: int) -> None:
    """Says that the open file or folder is in use, as long as this process lives and has it open."""
    with suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def clear_scratch() -> int:
    """Removes the folders that dead processes of this user left on this machine; how many."""
    found = [each for each in Path(tempfile.gettempdir()).glob(f"{PREFIX}*") if _is_dead(each)]
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return len(found)


def clear_parts(root: str, *, is_deep: bool = True) -> int:
    """Removes what interrupted writes left in a folder, and below; how many."""
    count = 0
    for at, _, names in os.walk(root):
        for name in names:
            path = Path(at, name)
            if TEMPORARY.fullmatch(name) and _is_dead(path):
                path.unlink(missing_ok=True)
                count += 1
        if not is_deep:
            break
    return count


def _is_dead(path: Path) -> bool:
    try:
        found = path.lstat()
        is_ours = found.st_uid == os.getuid() and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
        if not is_ours or time.time() - found.st_mtime < _SECONDS_TO_LOCK:
            return False
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
