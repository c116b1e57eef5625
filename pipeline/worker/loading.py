"""From a source to its image: fetched, checked against the listing, decoded. On any thread, never raising."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import PIL.Image

from pipeline.conditions.given import NO_FILES, ConditionFiles
from pipeline.doors.archive import Measured, said_of
from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.formats.fragile import may_crash
from pipeline.formats.geotiff.said import image_with_said
from pipeline.hashing import sha256_hex
from pipeline.imaging.image import Image
from pipeline.jobs.job import Job
from pipeline.privacy.medical import refuse_undeclared
from pipeline.privacy.naming import SourceLocator
from pipeline.processing.cases import Loaded
from pipeline.quarantine import read_failure
from pipeline.scenes.reader import refuse_too_large
from pipeline.units import Source
from pipeline.worker.conditions import ConditionLoader
from pipeline.worker.decoding_apart import DecodersApart
from pipeline.worker.references import Beside, ReferenceLoader
from pipeline.worker.series import whole_head

LOOKED_INTO = 1 << 28
"""Bytes above which the header is read before the rest: a scene that is too large is not fetched."""
UNLISTED = 4 << 20
"""Bytes that an object counts for while it is fetched, where the listing does not say its size."""
_WIDEST = 4
"""Bytes of a sample that Pillow calls I or F."""


@dataclass(frozen=True)
class Fetched:
    """The bytes of a source and its reference, and how many their pixels will have, about."""

    data: bytes
    decoded: int
    beside: Beside | None = None
    conditions: ConditionFiles = NO_FILES


class Loader:
    """``fetch(source)``, then ``decode(source, fetched)``; each hands over what went wrong as well."""

    def __init__(self, job: Job, locator: SourceLocator) -> None:
        self._limits = Limits(job.limits.max_pixels)
        self._apart = DecodersApart(job.limits.decode_seconds)
        self._private = {each.name: each.private for each in job.datasets}
        self._locator, self.locate = locator, locator.locate
        self._references = ReferenceLoader(locator, self._decoded)
        self._conditions = ConditionLoader(job, locator, self._decoded)

    def listed(self, source: Source) -> int:
        """Bytes that fetching a source takes, by its listing."""
        size = UNLISTED if source.size < 0 else source.size
        return size + self._references.listed(source)

    def read_head(self, source: Source) -> bytes:
        """A source's bytes up to its pixels; raises what the store raises."""
        return whole_head(*self._locator.locate(source))

    def load(self, source: Source) -> Loaded | Exception:
        """Both, one after the other."""
        fetched = self.fetch(source)
        return fetched if isinstance(fetched, Exception) else self.decode(source, fetched)

    def fetch(self, source: Source) -> Fetched | Exception:
        """The file, if it is the one that was listed."""
        try:
            self._references.refuse(source)
            data = self._read(source)
            beside = self._references.fetch(source)
            files = [data] if beside is None else [data, beside.reference]
            decoded = sum(decoded_bytes(each, self._limits) for each in files)
            return Fetched(data, decoded, beside, self._conditions.fetch(source))
        except Exception as error:
            return error

    def decode(self, source: Source, fetched: Fetched) -> Loaded | Exception:
        """Its image, with its reference."""
        data, beside = fetched.data, fetched.beside
        try:
            refuse_undeclared(self._private[source.dataset], data)
            found = image_with_said(self._decoded(data), said_of(*self._locator.locate(source)))
            image, told = self._conditions.decode(source, found, fetched.conditions)
            loaded = Loaded(source, sha256_hex(data), len(data), image, told=told)
            if beside is None:
                return loaded
            refuse_undeclared(self._private[source.dataset], beside.reference)
            return replace(loaded, reference=self._references.decode(source, image, beside))
        except Exception as error:
            return error

    def _decoded(self, data: bytes) -> Image:
        return self._apart.decode(data, self._limits) if may_crash(data) else decode(data, self._limits)

    def _read(self, source: Source) -> bytes:
        archive, at = self._locator.locate(source)
        try:
            if isinstance(archive, Measured):
                self._limits.check_block(*archive.measure(at))
            if source.size > LOOKED_INTO:
                refuse_too_large(archive, at, self._limits)
            data = archive.read(at)
        except ImageError:
            raise
        except Exception as error:
            raise read_failure(error) from error
        if 0 <= source.size != len(data):
            raise ImageError("CHANGED", f"{source.size} bytes listed, {len(data)} read; run the job again")
        return data


def decoded_bytes(data: bytes, limits: Limits) -> int:
    """What the pixels will take, by the header where Pillow reads it; else as if nothing were compressed."""
    try:
        with PIL.Image.open(io.BytesIO(data)) as opened:
            pixels = min(opened.width * opened.height, limits.max_pixels)
            return pixels * len(opened.getbands()) * _sample_bytes(opened.mode)
    except Exception:
        return len(data)


def _sample_bytes(mode: str) -> int:
    if mode.startswith("I;16"):
        return 2
    return _WIDEST if mode in ("I", "F") else 1
