"""From a source to its image: fetched, checked against the listing, decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.hashing import sha256_hex
from pipeline.jobs.job import Job
from pipeline.privacy.medical import refuse_undeclared
from pipeline.privacy.naming import SourceLocator
from pipeline.processing.cases import Loaded
from pipeline.quarantine import read_failure
from pipeline.scenes.reader import refuse_too_large
from pipeline.units import Source
from pipeline.worker.series import whole_head
from pipeline.worker.thread_window import ThreadWindow

LOOKED_INTO = 1 << 28
"""Bytes above which the header is read before the rest: a scene that is too large is not fetched."""


class Loader:
    """``loader(sources)`` yields each source with its image, or with what is wrong with it, in order."""

    def __init__(self, job: Job, locator: SourceLocator, threads: int) -> None:
        self._limits = Limits(job.limits.max_pixels)
        self._private = {each.name: each.private for each in job.datasets}
        self._locator, self._threads = locator, threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read")

    def __call__(self, sources: Iterable[Source]) -> Iterator[tuple[Source, Loaded | Exception]]:
        """A few are read ahead of the one that is handed over."""
        window = ThreadWindow(self._pool, 2 * self._threads, self._load_or_fault)
        yield from window.feed(sources)
        yield from window.rest()

    def read_head(self, source: Source) -> bytes:
        """A source's bytes up to its pixels; raises what the store raises."""
        return whole_head(*self._locator.locate(source))

    def _load_or_fault(self, source: Source) -> tuple[Source, Loaded | Exception]:
        try:
            return source, self._load(source)
        except Exception as error:
            return source, error

    def _load(self, source: Source) -> Loaded:
        folder, key = self._locator.locate(source)
        try:
            if source.size > LOOKED_INTO:
                refuse_too_large(folder, key, self._limits)
            data = folder.read(key)
        except ImageError:
            raise
        except Exception as error:
            raise read_failure(error) from error
        if 0 <= source.size != len(data):
            raise ImageError("CHANGED", f"{source.size} bytes listed, {len(data)} read; run the job again")
        refuse_undeclared(self._private[source.dataset], data)
        image = decode(data, self._limits)
        return Loaded(source, sha256_hex(data), len(data), image)
