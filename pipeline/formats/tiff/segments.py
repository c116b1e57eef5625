"""Strips and tiles of TIFF whose compressed data end early, found before or while they are decoded."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterable, Mapping

from pipeline.errors import ImageError
from pipeline.formats.completeness import (
    deflate_ends,
    ends_with_marker,
    lzma_ends,
    lzw_ends,
    was_not_written,
)
from pipeline.formats.tiff.lzw import LZW
from pipeline.formats.webp_ends import file_is_whole

RLE, GROUP_3, GROUP_4, JPEG = 2, 3, 4, 7
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


def check_segments(encoded: Iterable[bytes], compression: int) -> None:
    """For a strip or tile that its own bytes show to end early, ``ImageError("TRUNCATED")``.

    ``UNREADABLE`` where they are all there, and corrupt.
    """
    is_whole = _CHECKS.get(compression)
    if is_whole is None:
        return
    for stream in encoded:
        try:
            ends = is_whole(stream)
        except (zlib.error, lzma.LZMAError):
            if not was_not_written(stream):
                raise ImageError("UNREADABLE", "a strip or tile is corrupt; fetch the file again") from None
            ends = False
        if not ends:
            raise ended_early()


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
