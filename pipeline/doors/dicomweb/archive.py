"""The series of a DICOMweb server: every image by its UIDs, read as it was stored."""

from __future__ import annotations

import io
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from time import monotonic
from typing import IO

from pipeline.doors.dicomweb.instance import Instance, has_pixels, instances_of, is_ours
from pipeline.doors.dicomweb.recent import Recent
from pipeline.doors.dicomweb.server import Attributes, Server
from pipeline.errors import ImageError, StorageError, describe
from pipeline.storage import folder as storage
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder
from pipeline.storage.patterns import matcher

NO_PIXELS = "DICOM objects without pixels, such as reports"
"""What a listing leaves out and counts."""
OURS = "images that this program derived"
GONE = "series that were removed while they were listed"

_READERS = 4
"""Series that are listed at a time."""
_BELIEVED = 60.0
"""Seconds that a look at a series counts for all of its images."""
_KEPT = 64
"""Series that are remembered."""

Found = tuple[list[Entry], Counter[str]]
Searches = tuple[tuple[str | None, Mapping[str, str]], ...]
"""Study, and what else is to match, of every search that finds the series."""


class DicomwebArchive:
    """What some searches find on a server. ``together``: a series stands or falls as a whole."""

    def __init__(
        self, url: str, server: Server, searches: Searches, *, together: bool, with_ours: bool
    ) -> None:
        self._url, self._server, self._searches = url, server, searches
        self._together, self._with_ours = together, with_ours
        self._recent, self._lock = Recent(), threading.Lock()
        self._looks: OrderedDict[tuple[str, str], _Look] = OrderedDict()

    @property
    def url(self) -> str:
        """Of the server."""
        return self._url

    def pages(self, pattern: str = "*", left_out: Counter[str] | None = None) -> Iterator[list[Entry]]:
        """Images whose key ``STUDY/SERIES/INSTANCE.dcm`` the pattern means; a few series are in memory."""
        counts: Counter[str] = Counter() if left_out is None else left_out
        matches = matcher(pattern)
        try:
            entries = (entry for found in self._listed(counts) for entry in found if matches(entry.key))
            while page := list(islice(entries, storage.PAGE)):
                yield page
        except StorageError as error:
            raise StorageError(f"cannot list {self._url}: {error}") from error.__cause__
        except (OSError, ValueError) as error:
            raise StorageError(f"cannot list {self._url}: {describe(error)}") from error

    def _listed(self, left_out: Counter[str]) -> Iterator[list[Entry]]:
        found = self._series()
        with ThreadPoolExecutor(_READERS) as pool:
            while some := list(islice(found, _READERS)):
                for entries, counts in pool.map(self._images, some):
                    left_out.update(counts)
                    yield entries

    def _series(self) -> Iterator[tuple[str, str]]:
        seen: set[int] = set()
        for study, matching in self._searches:
            for each in self._server.series(study, matching):
                if hash(each) not in seen:
                    seen.add(hash(each))
                    yield each

    def _images(self, place: tuple[str, str]) -> Found:
        study, series = place
        left_out: Counter[str] = Counter()
        try:
            images = self._server.metadata(study, series)
        except FileNotFoundError:
            return [], Counter({GONE: 1})
        except OSError as error:
            return [self._broken(study, series, error).entry("")], left_out
        chosen = list(self._chosen(images, left_out))
        instances = instances_of(study, series, chosen, together=self._together)
        return [each.entry(series if self._together else "") for each in instances.values()], left_out

    def _chosen(self, images: list[Attributes], left_out: Counter[str]) -> Iterator[Attributes]:
        for each in images:
            if not has_pixels(each):
                left_out[NO_PIXELS] += 1
            elif is_ours(each) and not self._with_ours:
                left_out[OURS] += 1
            else:
                yield each

    def _broken(self, study: str, series: str, error: OSError) -> Instance:
        """A series that the server itself fails on is one row; raises what concerns all of them."""
        status = getattr(error.__cause__ or error, "http_status", None)
        if not isinstance(status, int) or not (400 <= status < 502 and status not in (401, 403, 408, 429)):
            raise error
        return Instance(study, series, "", "", f"its series cannot be listed: {error}")

    def uri(self, at: str) -> str:
        """As WADO-RS names it."""
        place = Instance.of(at)
        return f"{self._url}/studies/{place.study}/series/{place.series}/instances/{place.instance}"

    def read(self, at: str) -> bytes:
        """One request, and one a minute that says whether the series is still what was listed."""
        place = Instance.of(at)
        if place.fault:
            raise ImageError("READ_FAILED", place.fault)
        data = self._recent.take(at) or self._server.read(place.study, place.series, place.instance)
        now = self._now(place).get(place.instance)
        if now is None:
            raise FileNotFoundError("the server has no such object")
        if now != place:
            raise ImageError("CHANGED", "another series than the one that was listed; run the job again")
        return data

    def head(self, at: str, length: int) -> bytes:
        """The same: WADO-RS gives objects whole, and this one is kept for a moment."""
        data = self.read(at)
        self._recent.put(at, data)
        return data[:length]

    def open(self, at: str) -> IO[bytes]:
        """In memory."""
        return io.BytesIO(self.read(at))

    def place(self, at: str) -> tuple[Folder, str] | None:
        """In no folder."""
        return None

    def entry(self, at: str) -> Entry:
        """With the version that its series has now."""
        place = Instance.of(at)
        now = self._now(place).get(place.instance)
        if now is None:
            raise FileNotFoundError("the server has no such object")
        return now.entry(place.series if self._together else "")

    def _now(self, place: Instance) -> dict[str, Instance]:
        """The images of a series as they were within the last minute."""
        key = place.study, place.series
        with self._lock:
            look = self._looks.setdefault(key, _Look())
            self._looks.move_to_end(key)
            while len(self._looks) > _KEPT:
                self._looks.popitem(last=False)
        with look.lock:
            if monotonic() - look.at > _BELIEVED:
                images = self._chosen(self._server.metadata(*key), Counter())
                look.found = instances_of(*key, images, together=self._together)
                look.at = monotonic()
            return look.found


class _Look:
    """What a series was when it was last looked at."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.at = float("-inf")
        self.found: dict[str, Instance] = {}
