"""How an archive that is more than a folder of images is listed and read. Originals are only ever read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO, Protocol, runtime_checkable

from pipeline.imaging.said_band import SaidBand
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder


class Archive(Protocol):
    """The images at one address. ``Folder`` is one; others read what they know through it.

    An entry is read by its ``at``, or by its key where it has none. Reading raises ``FileNotFoundError``,
    ``OSError``, the store's own error, or an ``ImageError`` that says what is wrong with this one image.
    """

    @property
    def url(self) -> str:
        """Its address."""
        ...

    def pages(self, pattern: str = "*", left_out: Counter[str] | None = None) -> Iterator[Sequence[Entry]]:
        """Every image whose key the pattern means, each key once, a bounded page at a time.

        ``pipeline.storage.entries.Entries``, a page by column, is the quickest kind. What is there and is no
        image is counted in ``left_out`` by reason. ``StorageError`` where the archive
        itself cannot be listed.
        """
        ...

    def uri(self, at: str) -> str:
        """The address of an image, for tables."""
        ...

    def read(self, at: str) -> bytes:
        """The whole image, at the version that was listed, or ``ImageError`` with ``CHANGED``."""
        ...

    def head(self, at: str, length: int) -> bytes:
        """Its first bytes, or all there are."""
        ...

    def open(self, at: str) -> IO[bytes]:
        """The image as a file to read and seek in."""
        ...

    def place(self, at: str) -> tuple[Folder, str] | None:
        """The object that an image is, as a folder and its key there; ``None`` for a part of an object."""
        ...

    def entry(self, at: str) -> Entry:
        """The image as it is now; its ``version`` is empty where it could differ from the listing's."""
        ...


@runtime_checkable
class Measured(Protocol):
    """An archive that knows the size of an image before anything of it is read."""

    def measure(self, at: str) -> tuple[int, int, int]:
        """Its rows, its columns, and how many samples are in memory at once while it is read."""
        ...


@runtime_checkable
class Describing(Protocol):
    """An archive that may say of the bands of an image what its file does not."""

    def said(self, at: str) -> tuple[SaidBand, ...]:
        """One for each band, or one for all of them; none where nothing is said."""
        ...


def said_of(archive: Archive, at: str) -> tuple[SaidBand, ...]:
    """What the archive says of an image's bands; most say nothing."""
    return archive.said(at) if isinstance(archive, Describing) else ()
