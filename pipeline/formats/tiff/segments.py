"""Strips and tiles of TIFF whose compressed data end early, found before or while they are decoded."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Collection, Mapping

from pipeline.errors import ImageError
from pipeline.formats.coded_size import check_coded_size, coded_shape
from pipeline.formats.completeness import (
    deflate_ends,
    ends_with_marker,
    lzma_ends,
    lzw_ends,
    lzw_has_end,
    packbits_end,
    was_not_written,
)
from pipeline.formats.tiff.lzw import LZW
from pipeline.formats.webp_ends import file_is_whole

RLE, GROUP_3, GROUP_4, JPEG, PACKBITS = 2, 3, 4, 7, 32773
FAX = frozenset({RLE, GROUP_3, GROUP_4})
_CHECKS: Mapping[int, Callable[[bytes], bool]] = {
    LZW: lzw_ends,
    JPEG: ends_with_marker,
    8: deflate_ends,
    32946: deflate_ends,
    34712: ends_with_marker,
    34925: lzma_ends,
    50001: file_is_whole,
}
"""Compression -> whether a strip or tile is all there. Other decoders say it themselves."""


CODED = frozenset({JPEG, 34712})
"""JPEG and JPEG 2000, whose streams say how many samples of each pixel they hold."""
_SIZED = CODED | {50001}
"""Whose streams say how large an image they hold."""


class SegmentCheck:
    """Looks at the strips or tiles of a page, one after the other.

    ``sizes``: how many bytes one of them may hold when it is decoded; empty where that is not known.
    ``pixels``: how many there is room for in one of them.
    """

    def __init__(self, compression: int, sizes: Collection[int] = (), pixels: int = 0) -> None:
        self._compression, self._sizes, self._pixels = compression, sizes, pixels
        self._with_end = self._without_end = 0

    def add(self, stream: bytes) -> None:
        """For a strip or tile that its own bytes show to end early, ``ImageError("TRUNCATED")``.

        ``UNREADABLE`` where it is all there, and corrupt; ``TOO_LARGE`` where it says that it holds far more.
        """
        if self._compression in _SIZED:
            check_coded_size(stream, self._pixels)
        try:
            ends = self._ends(stream)
        except (zlib.error, lzma.LZMAError):
            if not was_not_written(stream):
                raise ImageError("UNREADABLE", "a strip or tile is corrupt; fetch the file again") from None
            ends = False
        if not ends:
            raise ended_early()
        if self._compression == LZW:
            self._with_end += (has_end := lzw_has_end(stream))
            self._without_end += not has_end

    def finish(self) -> None:
        """``ImageError("TRUNCATED")`` where most of them have an end mark, and others have none."""
        if 0 < self._without_end < self._with_end:
            raise ended_early()

    def _ends(self, stream: bytes) -> bool:
        if self._compression == PACKBITS:
            return packbits_end(stream, self._sizes)
        is_whole = _CHECKS.get(self._compression)
        return is_whole is None or is_whole(stream)


def check_coded_pixels(stream: bytes, rows: int, columns: int, samples: int) -> None:
    """``ImageError("UNREADABLE")`` for a JPEG or JPEG 2000 stream of other pixels than its strip or tile has.

    Decoders lay out as many in rows of another length, and repeat one sample for three. ``rows``: at least.
    """
    height, width, coded = coded_shape(stream)
    if coded and height and (height < rows or (width, coded) != (columns, samples)):
        raise other_pixels(f"{width} x {height} pixels of {coded} samples")


def other_pixels(held: str) -> ImageError:
    """For a strip or tile whose stream says that it holds something else."""
    return ImageError(
        "UNREADABLE", f"a strip or tile holds {held}, and the TIFF header says otherwise; write the file anew"
    )


def sizes_of(rows: int, height: int, row_bytes: int) -> set[int]:
    """Bytes of the decoded strips or tiles of so many rows, of which the last strip may have fewer."""
    return {rows * row_bytes, (height % rows or rows) * row_bytes} if rows else set()


def check_tables(tables: bytes | None) -> None:
    """The tables that all JPEG strips and tiles of a page share: zeros in them make other pixels of all."""
    if tables and not ends_with_marker(tables):
        raise ended_early()


def ended_early() -> ImageError:
    """For a strip or tile without all of its pixels."""
    return ImageError(
        "TRUNCATED",
        "a strip or tile does not decode to its last pixel: the file was cut short, not written to its end, "
        "or is corrupt; fetch it again from where it came",
    )
