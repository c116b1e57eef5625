"""What a store says of an output that cannot be used, or no longer be written, with the cure."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from pipeline.errors import RestoraError, StorageError, describe
from pipeline.jobs.job import Job
from pipeline.storage.folder import Folder

P = ParamSpec("P")
T = TypeVar("T")


class _OfJob(Protocol):
    """A run's folder, as far as it matters here."""

    job: Job


RunT = TypeVar("RunT", bound=_OfJob)

_GO_ON = "then run the same command again: what is committed stays"
_CURES = {
    errno.ENOSPC: f"make room on its disk, {_GO_ON}",
    errno.EDQUOT: f"make room in your quota of its disk, {_GO_ON}",
    errno.EFBIG: f"allow larger files (ulimit -f), {_GO_ON}",
    errno.EROFS: f"make its disk one that can be written, {_GO_ON}",
}
"""By what a disk says that took files before."""


@contextmanager
def output_errors(job: Job, folder: Folder) -> Iterator[None]:
    """Around the first use of an output: whatever its store says, as a ``StorageError`` with the cure."""
    try:
        yield
    except RestoraError as error:
        if not isinstance(error, StorageError) or not isinstance(error.__cause__, OSError):
            raise
        raise _unusable(job, folder, error.__cause__) from error
    except Exception as error:  # botocore and friends do not derive from OSError
        raise _unusable(job, folder, error) from error


def tells_of_disks(step: Callable[Concatenate[RunT, P], T]) -> Callable[Concatenate[RunT, P], T]:
    """The same step of a run; a disk that is full, or may no longer be written, is a ``StorageError``."""

    def told(run: RunT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with told_of_disk(run.job.output):
            return step(run, *args, **kwargs)

    update_wrapper(told, step)
    return told


@contextmanager
def told_of_disk(output: str) -> Iterator[None]:
    """``StorageError`` with the cure where the disk of ``output`` is full, or may no longer be written."""
    try:
        yield
    except OSError as error:
        if (cure := cure_of(error)) is None:
            raise
        raise StorageError(f"cannot write {error.filename or output}: {describe(error)}; {cure}") from error


def cure_of(error: BaseException) -> str | None:
    """What to do about a disk that took files before; ``None`` where it is not that."""
    return _CURES.get(error.errno or 0) if isinstance(error, OSError) else None


def _unusable(job: Job, folder: Folder, error: Exception) -> StorageError:
    return StorageError(f"output: cannot use {job.output}: {describe(error)}; {_cure(error, folder)}")


def _cure(error: Exception, folder: Folder) -> str:
    if isinstance(error, NotADirectoryError | FileExistsError):
        return "a file of that name is there; give a folder"
    if isinstance(error, OSError) and error.errno != errno.EROFS and (cure := cure_of(error)):
        return cure
    if folder.is_local:
        return "give a folder that can be written"
    return "check the address, and the credentials in the environment or the profile"
