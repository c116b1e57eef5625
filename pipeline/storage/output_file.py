"""The one file that a command writes: of no kind but its own, never one that it reads, never half of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import JobError
from pipeline.storage.disk import Disk
from pipeline.storage.scratch import clear_parts


def check_output_file(target: Path, ending: str, given: Iterable[str | Path | None] = ()) -> None:
    """``JobError`` where the name ends otherwise, or the file is one of ``given``, by whatever name or link.

    To be asked before the work. What is no path of this machine is no file that could be written over.
    """
    if not target.name.lower().endswith(ending):
        raise JobError(f"{target}: such a file ends in {ending}; call it {target.name}{ending}")
    if target.is_dir():
        raise JobError(f"{target}: is a folder; give the name of a file in it")
    for each in given:
        if each is not None and is_same_file(target, each):
            raise JobError(f"{target}: is what is read, {each}; give another name")


def write_output(target: Path, content: bytes | Path) -> None:
    """Writes it, or copies that file, through another beside it: nobody ever sees half of it.

    What killed writes left in the same folder goes. ``JobError`` where it cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clear_parts(str(target.parent), is_deep=False)
        Disk(str(target.parent)).put(target.name, content)
    except OSError as error:
        raise JobError(f"{target}: cannot be written: {error.strerror or error}") from error


def is_same_file(target: Path, other: str | Path) -> bool:
    """Whether both name one file that is there."""
    try:
        return target.samefile(other)
    except (OSError, ValueError):
        return False
