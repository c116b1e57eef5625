"""The pixels of one TIFF page: what is refused on its header, and reading without gaps (TIFF 6.0)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.completeness import FaxDecoder, fax_is_whole, jpeg_is_whole
from pipeline.formats.tiff.first_page import (
    NEW_SUBFILE_TYPE,
    STACK_PLANES,
    SUB_DIRECTORIES,
    SUBFILE_TYPE,
    check_stack,
    is_reduced,
    preview,
)
from pipeline.formats.tiff.lzw import LZW, decode_lzw
from pipeline.formats.tiff.segments import (
    CODED,
    FAX,
    GROUP_4,
    JPEG,
    SegmentCheck,
    check_coded_pixels,
    check_tables,
    ended_early,
    other_pixels,
    sizes_of,
)

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
_UNSIGNED = 1
_COLOURS = {MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, RGB: 3, PALETTE: 1, YCBCR: 3}
_CODECS = {
    1: "none", 2: "CCITT RLE", 3: "CCITT group 3", 4: "CCITT group 4", LZW: "LZW", 7: "JPEG", 8: "Deflate",
    32773: "PackBits", 32946: "Deflate", 34712: "JPEG 2000", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP",
}  # fmt: skip
"""What is read: the schemes whose decoders withstand corrupt data."""


Unpacker = Callable[[bytes, int], bytes]
_WHOLE: dict[int, Callable[[bytes, FaxDecoder], bool]] = {
    **dict.fromkeys(FAX, fax_is_whole),
    GROUP_4: partial(fax_is_whole, has_end_of_block=True),
    JPEG: jpeg_is_whole,
}
"""Compressions whose decoders fill what is missing: whether a strip or tile is whole takes decoding again."""


def only_page(tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    """The first page; ``ImageError("ANIMATED")`` where there are more, overviews not counted."""
    pages = iter(tiff.pages)
    first = next(pages, None)
    if not isinstance(first, tifffile.TiffPage):
        raise ImageError("UNREADABLE", "the TIFF file holds no page")
    _check_first(first)
    for other in pages:
        page = other.aspage()
        if not is_reduced(*_types(page)):
            raise ImageError("ANIMATED", 'a TIFF of several pages; take each as an image: store = "pages"')
        if _pixels(page) > _pixels(first):
            raise preview()
    return first


def _check_first(page: tifffile.TiffPage) -> None:
    children = page.pages if SUB_DIRECTORIES in page.tags else None
    larger = any(_pixels(child.aspage()) > _pixels(page) for child in children or ())
    if larger or is_reduced(*_types(page)):
        raise preview()
    planes = page.tags.get(STACK_PLANES)
    check_stack(str(page.description), planes.count if planes else 0, _pixels(page) * page.samplesperpixel)


def is_smaller_version(page: tifffile.TiffPage) -> bool:
    """Whether a page says that it is an overview of another."""
    return is_reduced(*_types(page))


def _types(page: tifffile.TiffPage) -> tuple[int, int]:
    tags = (page.tags.get(code) for code in (NEW_SUBFILE_TYPE, SUBFILE_TYPE))
    new, old = (0 if tag is None else int(tag.value) for tag in tags)
    return new, old


def _pixels(page: tifffile.TiffPage) -> int:
    return int(page.imagelength) * int(page.imagewidth)


def check_page(page: tifffile.TiffPage, limits: Limits) -> None:
    """Refuses by the header alone what cannot be read exactly, or only at too high a cost."""
    limits.check(page.imagelength, page.imagewidth)
    segment_pixels = (
        (page.tilelength * page.tilewidth) if page.is_tiled else page.imagelength * page.imagewidth
    )
    samples = page.imagelength * page.imagewidth * page.samplesperpixel
    if segment_pixels > max(limits.max_pixels, 1 << 20) or samples > limits.max_samples:
        raise ImageError("TOO_LARGE", "the tiles or bands of the TIFF file are larger than any image may be")
    if page.imagedepth > 1:
        raise ImageError("ANIMATED", "a TIFF volume; split it into one file a slice")
    if page.compression not in _CODECS:
        known = ", ".join(dict.fromkeys(_CODECS.values()))
        raise ImageError(
            "UNREADABLE",
            f"a TIFF of compression {int(page.compression)}; known are {known}; convert it to one of them",
        )
    _check_type(page)
    _check_colour(page)


def _check_type(page: tifffile.TiffPage) -> None:
    if int(page.sampleformat) != _UNSIGNED:
        raise ImageError(
            "UNSUPPORTED_DTYPE",
            f"a TIFF of {page.bitspersample} bit signed or floating-point samples does not say what "
            "black and white are; convert it to 8 or 16 bit unsigned",
        )
    if page.bitspersample not in (1, 2, 4, 8, 16):
        raise ImageError(
            "UNSUPPORTED_DTYPE", f"a TIFF of {page.bitspersample} bits; convert it to 8 or 16 bit unsigned"
        )


def _check_colour(page: tifffile.TiffPage) -> None:
    photometric = int(page.photometric)
    cure = "convert it to grey or RGB"
    if photometric not in _COLOURS or (photometric == YCBCR and page.compression != JPEG):
        raise ImageError("UNSUPPORTED_COLOUR", f"a TIFF of photometric interpretation {photometric}; {cure}")
    if photometric == PALETTE and page.colormap is None:
        raise ImageError("UNREADABLE", "a TIFF of palette colours without the palette")
    if photometric == PALETTE and page.samplesperpixel != 1:
        raise ImageError("UNSUPPORTED_COLOUR", f"a TIFF with a palette and further samples; {cure}")
    if page.samplesperpixel < _COLOURS[photometric]:
        raise ImageError("UNREADABLE", "the TIFF file has fewer samples than its colours need")


def read_samples(page: tifffile.TiffPage, data: bytes) -> NDArray[Any]:
    """All samples HWC, in the page's own values.

    tifffile's own ``asarray`` fills missing tiles and strips with zeros; here they are refused.
    """
    separate = page.planarconfig == 2 and page.samplesperpixel > 1
    planes, samples = (page.samplesperpixel, 1) if separate else (1, page.samplesperpixel)
    height, width = page.imagelength, page.imagewidth
    segments = _segments(page, planes, len(data))
    compression = int(page.compression)
    unpack = _lzw_unpacker(page, samples) if compression == LZW else None
    check_tables(page.jpegtables if compression == JPEG else None)
    check = SegmentCheck(compression, _sizes(page, samples), _room(page))
    stored = np.empty((planes, height, width, samples), page.dtype)
    for index, (offset, count) in enumerate(segments):
        encoded = data[offset : offset + count]
        check.add(encoded)
        decoded, (plane, _, top, left, _) = _decoded(page, encoded, index, unpack)
        rows, columns = _covered(page, top, left)
        _check_pixels(page, encoded, rows, samples, decoded.dtype)
        if decoded.shape[1] < rows or decoded.shape[2] < columns:
            raise ended_early()
        stored[plane][top : top + rows, left : left + columns] = decoded[0, :rows, :columns]
    check.finish()
    return stored[:, :, :, 0].transpose(1, 2, 0) if separate else stored[0]


def _decoded(
    page: tifffile.TiffPage, encoded: bytes, index: int, unpack: Unpacker | None
) -> tuple[NDArray[Any], tuple[int, ...]]:
    """A strip or tile as tifffile decodes it, and its place; ``ImageError`` where it ends early."""

    def decode(data: bytes) -> tuple[NDArray[Any] | None, tuple[int, ...], Any]:
        return page.decode(data, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)

    try:
        decoded, place, _ = decode(unpack(encoded, index) if unpack else encoded)
    except (MemoryError, ImageError):
        raise
    except Exception:
        raise ended_early() from None
    assert decoded is not None, "only missing data decode to nothing"
    is_whole = _WHOLE.get(int(page.compression))
    if is_whole is not None and not is_whole(encoded, lambda data: decode(data)[0]):
        raise ended_early()
    return decoded, place


def _check_pixels(
    page: tifffile.TiffPage, encoded: bytes, rows: int, samples: int, dtype: np.dtype[Any]
) -> None:
    """``ImageError("UNREADABLE")`` for a strip or tile of another shape or type than the page's."""
    if page.compression in CODED:
        width = page.tilewidth if page.is_tiled else page.imagewidth
        check_coded_pixels(encoded, rows, width, samples)
    if page.dtype is None or dtype.itemsize > page.dtype.itemsize:
        raise other_pixels(f"samples of {8 * dtype.itemsize} bits")


def _lzw_unpacker(page: tifffile.TiffPage, samples: int) -> Unpacker:
    """Our decoder, and the page changed to say that its strips and tiles are not compressed."""
    fill_order = int(page.fillorder)
    page.compression, page.fillorder = 1, 1
    row_bytes = _row_bytes(page, samples)

    def unpack(encoded: bytes, index: int) -> bytes:
        rows = page.tilelength
        if not page.is_tiled:
            strips = math.ceil(page.imagelength / page.rowsperstrip)
            rows = min(page.rowsperstrip, page.imagelength - index % strips * page.rowsperstrip)
        return decode_lzw(encoded, rows * row_bytes, fill_order)

    return unpack


def _row_bytes(page: tifffile.TiffPage, samples: int) -> int:
    """Of a row of a strip or tile that holds so many samples of each pixel."""
    width = page.tilewidth if page.is_tiled else page.imagewidth
    return int(-(-width * samples * page.bitspersample // 8))


def _room(page: tifffile.TiffPage) -> int:
    """Pixels of a strip or tile."""
    if page.is_tiled:
        return int(page.tilelength) * int(page.tilewidth)
    return min(int(page.rowsperstrip), int(page.imagelength)) * int(page.imagewidth)


def _sizes(page: tifffile.TiffPage, samples: int) -> set[int]:
    """Bytes that a strip or tile may hold."""
    row_bytes, height = _row_bytes(page, samples), int(page.imagelength)
    if page.is_tiled:
        return sizes_of(int(page.tilelength), int(page.tilelength), row_bytes)
    return sizes_of(min(int(page.rowsperstrip), height), height, row_bytes)


def _segments(page: tifffile.TiffPage, planes: int, size: int) -> list[tuple[int, int]]:
    """Offset and length of every strip or tile; all there, all inside the file."""
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if page.is_tiled:
        across = math.ceil(page.imagewidth / page.tilewidth)
        expected = planes * across * math.ceil(page.imagelength / page.tilelength)
    else:
        expected = planes * math.ceil(page.imagelength / page.rowsperstrip)
    if len(segments) < expected:
        raise ImageError("TRUNCATED", "the TIFF file lists fewer strips or tiles than the image has")
    if any(offset < 1 or count < 1 or offset + count > size for offset, count in segments[:expected]):
        raise ImageError(
            "TRUNCATED", "a strip or tile of the TIFF file is missing or ends after the file does"
        )
    return segments[:expected]


def _covered(page: tifffile.TiffPage, top: int, left: int) -> tuple[int, int]:
    """How many rows and columns of the image the strip or tile at this place must fill."""
    rows = page.tilelength if page.is_tiled else page.rowsperstrip
    columns = page.tilewidth if page.is_tiled else page.imagewidth
    return min(rows, page.imagelength - top), min(columns, page.imagewidth - left)


def to_full_range(samples_HWC: NDArray[Any], page: tifffile.TiffPage) -> NDArray[Any]:
    """uint8 or uint16 with black at 0: 1, 2 and 4 bits expanded exactly, palettes looked up."""
    bits, photometric = page.bitspersample, int(page.photometric)
    if photometric == PALETTE:
        colours_N3 = _palette_colours(np.asarray(page.colormap))
        return np.take(colours_N3, samples_HWC[:, :, 0], axis=0)
    if bits < 8:
        samples_HWC = samples_HWC.astype(np.uint8) * np.uint8(255 // (2**bits - 1))
    if photometric == MIN_IS_WHITE:
        # Only the grey plane is a colour: opacity and further bands do not turn over.
        samples_HWC[:, :, 0] = np.iinfo(samples_HWC.dtype).max - samples_HWC[:, :, 0]
    return samples_HWC


def _palette_colours(colormap_3N: NDArray[np.uint16]) -> NDArray[Any]:
    """N x 3 colours; 8 bits where the table holds no more, in either of the two ways they are written."""
    table = np.ascontiguousarray(colormap_3N.T)
    if table.max() < 256:
        return table.astype(np.uint8)
    high = table >> 8
    if np.array_equal(table, high * 257) or np.array_equal(table, high * 256):
        return high.astype(np.uint8)
    return table
