"""A look into a source's object while the run is planned, by a store that may fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pipeline.errors import ImageError, StorageError, describe
from pipeline.storage.retrying import retried
from pipeline.units import Source

T = TypeVar("T")

_ATTEMPTS = 3
"""Each of them is several where the store itself tries again."""


def probe(source: Source, read: Callable[[], T], purpose: str) -> T | None:
    """What ``read`` gives; ``None`` for an object that is gone or forbidden: its own row will say so.

    Any other fault of the store must not decide how an image is treated, which nobody would see: the store
    is asked again, and then the plan ends with a ``StorageError``. ``purpose`` continues "cannot be read to
    see ...".
    """
    try:
        return retried(read, _ATTEMPTS)
    except (FileNotFoundError, PermissionError, IsADirectoryError):  # lasting, and of this object alone
        return None
    except Exception as error:
        if isinstance(error, ImageError) and error.reason != "READ_FAILED":
            return None  # its archive knows that it is no image
        # The error's own text may hold the name of a private object.
        what = type(error.__cause__ or error).__name__ if source.sealed else describe(error)
        raise StorageError(
            f'dataset "{source.dataset}": {source.key} cannot be read to see {purpose}: {what}; check the '
            "store, and run the same command again"
        ) from (None if source.sealed else error)
