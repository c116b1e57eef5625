"""Formats whose objects say to which series they belong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol, runtime_checkable

from pipeline.formats import FORMATS
from pipeline.formats.base import Format

HEAD_BYTES = 1 << 16
"""Of every object that may belong to a series; the few with longer headers are read as a whole."""

READERS = 16
"""Threads that read the heads of objects."""


@runtime_checkable
class SeriesFormat(Format, Protocol):
    """A format whose objects say to which series they belong."""

    def series_of(self, head: bytes) -> str:
        """The name of the series out of an object's first bytes; empty where they do not hold it."""
        ...

    def ends_in(self, head: bytes) -> bool:
        """Whether an object's first bytes hold its whole header."""
        ...

    def check_series(self, heads: Sequence[bytes]) -> None:
        """``ImageError`` where the images with these headers contradict each other."""
        ...


@cache
def formats_of_series() -> tuple[SeriesFormat, ...]:
    """When first asked for, and not on import: plug-ins import this module."""
    return tuple(each for each in FORMATS.values() if isinstance(each, SeriesFormat))
