"""A scene in its store, read by rows: never the whole of it, each of its blocks decoded once a strip.

Shapes: C bands of the file, opacity included, H rows and W columns of what was read.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.doors.archive import Archive
from pipeline.errors import ImageError
from pipeline.formats.base import Limits, codec_errors
from pipeline.formats.geotiff.directory import BYTE_ORDERS, HEIGHT, WIDTH, Directory, read_directory
from pipeline.formats.geotiff.format import RASTER_HEADER, GeoTiff, header_of
from pipeline.formats.geotiff.gdal import opened_file
from pipeline.formats.geotiff.header import RasterHeader
from pipeline.formats.geotiff.limits import check_directory, check_mask_data, segment_check_of, segments_of
from pipeline.formats.geotiff.profile import profile_entries
from pipeline.formats.geotiff.reading import check_raster, data_mask, has_own_mask, read_mask, read_part
from pipeline.formats.geotiff.said import with_said
from pipeline.formats.raster import MAGIC_BYTES, check_described, driver_of
from pipeline.formats.raster import header_of as raster_header_of
from pipeline.formats.tiff.segments import SegmentCheck
from pipeline.imaging.image import Image, Metadata
from pipeline.imaging.said_band import SaidBand
from pipeline.quarantine import read_failure
from pipeline.scenes.decoding_clock import DecodingClock
from pipeline.scenes.geometry import Range
from pipeline.scenes.whole_file import digest_of_whole
from pipeline.storage.folder import Folder

_ROWS = 512
"""Fewest rows to read at a time."""
_NAMES = {"GTiff": "GeoTIFF"}
"""Of formats in messages, where GDAL's are its own."""


class FileBytes:
    """A file's bytes without holding them: what ``read_directory`` asks for, and no more."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = int(file.seek(0, os.SEEK_END))

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, at: slice) -> bytes:
        start, stop, _ = at.indices(self._size)
        self._file.seek(start)
        return self._file.read(max(stop - start, 0))


@dataclass(frozen=True)
class Group:
    """Some rows of a scene over its whole width."""

    first: int
    samples_CHW: NDArray[Any]
    mask_HW: NDArray[np.bool_] | None
    """The file's own mask, where it has one."""

    @property
    def last(self) -> int:
        """The row after the last."""
        return self.first + int(self.samples_CHW.shape[1])


class Scene:
    """A GeoTIFF, JPEG 2000 or NITF file whose header is known; ``groups`` reads its rows."""

    def __init__(
        self,
        folder: Folder,
        key: str,
        limits: Limits,
        seconds: float = inf,
        said: Sequence[SaidBand] = (),
    ) -> None:
        """Reads the header. Raises ``ImageError`` as decoding the whole file does, and for the store.

        ``seconds``: of a core, that decoding all that is asked of it may take. ``said``: of its bands,
        by its catalogue.
        """
        self._folder, self._key, self._limits = folder, key, limits
        self._clock = DecodingClock(seconds)
        with self._failures(), folder.open(key) as file:
            data = FileBytes(file)
            self.bytes = len(data)
            driver, directory = driver_of(data[:MAGIC_BYTES]), read_directory(data)
            self._profile, self._fault = _described(data)
        if driver is None:
            if directory is None or not directory.is_raster:
                raise ImageError("UNREADABLE", "no GeoTIFF, JPEG 2000 or NITF file")
            check_directory(directory, limits, self.bytes)
        self._driver = driver or "GTiff"
        self._directory = directory
        with self._opened() as raster:
            self.header: RasterHeader = with_said(self._header_of(raster, directory), said)
            self.has_mask = has_own_mask(raster)
            self.dtype = str(raster.dtypes[0])
            self.block_rows = max(each[0] for each in raster.block_shapes)

    def _header_of(self, raster: Any, directory: Directory | None) -> RasterHeader:
        if directory is None:
            return raster_header_of(raster, self._profile, mask=False)
        return header_of(raster, directory, mask=False)

    @property
    def size(self) -> Range:
        """Height and width."""
        return self.header.height, self.header.width

    @property
    def may_have_holes(self) -> bool:
        """Whether the header leaves room for pixels without data."""
        header = self.header
        has_value = header.nodata_value(self.dtype) is not None or np.dtype(self.dtype).kind == "f"
        return has_value or self.has_mask or header.alpha is not None

    def groups(self, first: int, last: int) -> Generator[Group, None, None]:
        """The rows in groups, from above, each of whole blocks; to be taken on one thread.

        Raises ``ImageError`` for a block that does not decode.
        """
        step = max(self.block_rows, _ROWS // self.block_rows * self.block_rows)
        with self._opened() as raster:
            for start in range(first // step * step, last, step):
                yield self._group(raster, (max(start, first), min(start + step, last)), (0, self.size[1]))

    def window(self, rows: Range, columns: Range) -> Image:
        """A rectangle of the scene."""
        with self._opened() as raster:
            group = self._group(raster, rows, columns)
        return self.image([group], rows, (0, columns[1] - columns[0]))

    def _group(self, raster: Any, rows: Range, columns: Range) -> Group:
        self._refuse()
        with self._clock.running():
            mask_HW = read_mask(raster, rows, columns) if self.has_mask else None
            return Group(rows[0], read_part(raster, rows, columns), mask_HW)

    def mask(self, groups: Sequence[Group], rows: Range, columns: Range) -> NDArray[np.bool_] | None:
        """The file's own mask of a rectangle, HW; ``None`` where it has none."""
        across = slice(*columns)
        masks = [
            each.mask_HW[slice(*_within(rows, each)), across]
            for each in groups
            if each.mask_HW is not None and _overlaps(rows, each)
        ]
        return np.concatenate(masks) if masks else None

    def image(self, groups: Sequence[Group], rows: Range, columns: Range) -> Image:
        """The rectangle as an image, out of the groups that hold its rows."""
        across = slice(*columns)
        samples_CHW = np.concatenate(
            [
                each.samples_CHW[:, slice(*_within(rows, each)), across]
                for each in groups
                if _overlaps(rows, each)
            ],
            axis=1,
        )
        samples_HWC = samples_CHW.transpose(1, 2, 0)  # a view: tensors and blocks are CHW again
        alpha, alpha_HW, valid_HW = self.header.alpha, None, None
        if alpha is not None:
            alpha_HW = np.ascontiguousarray(samples_HWC[:, :, alpha])
            samples_HWC = np.delete(samples_HWC, alpha, axis=2)
        if self.may_have_holes:
            valid_HW = data_mask(samples_HWC, alpha_HW, self.mask(groups, rows, columns), self.header)
        return Image(
            pixels_HWC=samples_HWC,
            domain=self.header.domain(self.dtype),
            metadata=Metadata(GeoTiff.name, {RASTER_HEADER: self.header, **profile_entries(self.header)}),
            valid_HW=None if valid_HW is None or valid_HW.all() else valid_HW,
            alpha_HW=alpha_HW,
        )

    def sha256(self) -> str:
        """Of the whole file, read once more; ``ImageError("TRUNCATED")`` for a block that ends early."""
        self._refuse()
        blocks, check = list[tuple[int, int]](), SegmentCheck(compression=1)
        if self._directory is not None:
            blocks, check = segments_of(self._directory), segment_check_of(self._directory)
        with self._failures(), self._folder.open(self._key) as file:
            digest = digest_of_whole(file, blocks, check)
            if self._directory is not None:
                check_mask_data(FileBytes(file))
            return digest

    def _refuse(self) -> None:
        """For what shows before a pixel is read, but not while planning: the strips have their rows."""
        if self._fault is not None:
            raise self._fault

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        place, opener, faults = str(self._folder.local_path(self._key)), None, list[Exception]()
        if not self._folder.is_local:
            place, opener = "scene", lambda: _Witnessed(self._folder.open(self._key), faults)
        try:
            with (
                codec_errors(_NAMES.get(self._driver, self._driver)),
                opened_file(place, self._driver, opener) as raster,
            ):
                check_raster(raster, self._limits)
                yield raster
        except ImageError as error:
            raise (read_failure(faults[0]) if faults else error) from None

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except ImageError:
            raise
        except Exception as error:
            raise read_failure(error) from error


def _described(data: FileBytes) -> tuple[bytes | None, ImageError | None]:
    """The profile of the colours, and what GDAL would not refuse."""
    try:
        return check_described(data), None
    except ImageError as error:
        return None, error


_IN_STRIPS = "or do it in strips, by a restore run with a restorer that is tile-exact"
_AS_AN_OBJECT = (
    "or store it as an object of its own (a member of a tar shard: unpack it), which a restore run with a "
    "restorer that is tile-exact does in strips"
)


def refuse_too_large(archive: Archive, at: str, limits: Limits) -> None:
    """``ImageError("TOO_LARGE")`` for a raster whose header says so, before its bytes are fetched.

    Raises what the store raises.
    """
    if archive.head(at, 2) not in BYTE_ORDERS:
        return
    with archive.open(at) as file:
        directory = read_directory(FileBytes(file))
    try:
        if directory is not None:
            limits.check(directory.integers(HEIGHT, (1,))[0], directory.integers(WIDTH, (1,))[0])
    except ImageError as error:
        cure = _IN_STRIPS if archive.place(at) is not None else _AS_AN_OBJECT
        raise ImageError(error.reason, f"{error}, {cure}") from None


class _Witnessed:
    """A file for GDAL, which makes a corrupt raster of every failure of a store."""

    def __init__(self, file: IO[bytes], faults: list[Exception]) -> None:
        self._file, self._faults = file, faults
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def __enter__(self) -> _Witnessed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, count: int = -1) -> bytes:
        try:
            return self._file.read(count)
        except Exception as error:
            self._faults.append(error)
            raise


def _overlaps(rows: Range, group: Group) -> bool:
    return group.first < rows[1] and rows[0] < group.last


def _within(rows: Range, group: Group) -> Range:
    return max(rows[0] - group.first, 0), min(rows[1], group.last) - group.first
