"""A folder whose files may hold several images: each page is one, under the key of its file.

A page is handed over as a file of its own, without loss: a frame of a DICOM object as DICOM, a time of a
NIfTI file as NIfTI, any other as TIFF. The file is fetched once for pages that are read one after the other.
"""

from __future__ import annotations

import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, NamedTuple

from pipeline.errors import ImageError
from pipeline.formats import FORMATS, Limits
from pipeline.formats.paged import Pages, count_pages, read_pages
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder

_MAY_HOLD_SEVERAL = ("tiff", "geotiff", "gif", "png", "webp", "dicom", "nifti")
ENDINGS = tuple(
    ending
    for name, each in FORMATS.items()
    if name not in _MAY_HOLD_SEVERAL
    for ending in (*each.extensions, "/")
)
"""Of files that are one image; all others are looked into, since DICOM objects have names of any kind."""
_READERS = 16
"""Files that are looked into at a time."""
_KEPT = 2
"""Files that are held by a process."""


class _Place(NamedTuple):
    """Where an image is, as its archive reads it."""

    key: str
    size: int
    version: str
    number: int
    """Of the page; -1 where the file is the image."""
    fault: str = ""
    """Why the file has no pages."""
    ending: str = ".tif"
    """Of the page's name."""

    @classmethod
    def of(cls, at: str) -> _Place:
        return cls(*json.loads(at))

    def entry(self) -> Entry:
        whole = self.number < 0
        key = self.key if whole else f"{self.key}/page-{self.number + 1:04d}{self.ending}"
        size = self.size if whole else -1
        return Entry(key, size, self.version, at=json.dumps(self, ensure_ascii=False))


class PagesArchive:
    """The images below an address, in files that may hold several."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._open: dict[tuple[str, str], Pages] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Of the folder."""
        return self._folder.url

    def pages(self, pattern: str = "*", left_out: Counter[str] | None = None) -> Iterator[list[Entry]]:
        """Every page of the files that the pattern means; each of these is opened."""
        with ThreadPoolExecutor(_READERS) as pool:
            for page in self._folder.pages(pattern, left_out):
                yield [entry for some in pool.map(self._entries, page) for entry in some]

    def _entries(self, file: Entry) -> list[Entry]:
        if file.is_unreadable:
            return [file]
        place = _Place(file.key, file.size, file.version, -1)
        try:
            count, ending = (1, "") if file.key.lower().endswith(ENDINGS) else self._count(file.key)
        except ImageError as error:
            return [place._replace(fault=str(error)).entry()]
        if count < 2:
            return [place.entry()]
        return [place._replace(number=number, ending=ending).entry() for number in range(count)]

    def _count(self, key: str) -> tuple[int, str]:
        try:
            with self._folder.open(key) as file:
                return count_pages(file)
        except ImageError:
            raise
        except Exception:  # it has its reason when it is read
            return 1, ""

    def uri(self, at: str) -> str:
        """The file, and the page behind it."""
        return self._folder.uri(_Place.of(at).entry().key)

    def read(self, at: str) -> bytes:
        """The file, or its page as one."""
        place = _Place.of(at)
        if place.fault:
            raise ImageError("TOO_LARGE", place.fault)
        if place.number < 0:
            return self._folder.read(place.key)
        return self._pages(place)[place.number]

    def _pages(self, place: _Place) -> Pages:
        name = place.key, place.version
        with self._lock:
            if name not in self._open:
                now = self._folder.entry(place.key).version
                data = self._folder.read(place.key)
                if (now and now != place.version) or 0 <= place.size != len(data):
                    raise ImageError(
                        "CHANGED", "another file than the one that was listed; run the job again"
                    )
                while len(self._open) >= _KEPT:
                    del self._open[next(iter(self._open))]
                self._open[name] = read_pages(data, Limits())
            return self._open[name]

    def head(self, at: str, length: int) -> bytes:
        """The first bytes of the file, or of the page."""
        place = _Place.of(at)
        return self._folder.head(place.key, length) if place.number < 0 else self.read(at)[:length]

    def open(self, at: str) -> IO[bytes]:
        """The file, or the page in memory."""
        place = _Place.of(at)
        return self._folder.open(place.key) if place.number < 0 else io.BytesIO(self.read(at))

    def place(self, at: str) -> tuple[Folder, str] | None:
        """A page is no object of its own."""
        place = _Place.of(at)
        return (self._folder, place.key) if place.number < 0 else None

    def entry(self, at: str) -> Entry:
        """With the version that its file has now."""
        place, now = _Place.of(at), self._folder.entry(_Place.of(at).key)
        return place._replace(size=now.size, version=now.version).entry()
