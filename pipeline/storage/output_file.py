"""The one file that a command writes: never one that it reads, and of no kind but its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import JobError


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


def is_same_file(target: Path, other: str | Path) -> bool:
    """Whether both name one file that is there."""
    try:
        return target.samefile(other)
    except (OSError, ValueError):
        return False
