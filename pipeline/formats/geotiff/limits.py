"""What a raster's header alone rules out: too large, cut short, of samples or colours that are not kept."""

from __future__ import annotations

import math

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.geotiff.directory import (
    BITS,
    COMPRESSION,
    FLOAT,
    GDAL_NODATA,
    HEIGHT,
    JPEG_TABLES,
    PHOTOMETRIC,
    PLANES,
    ROWS_PER_STRIP,
    SAMPLE_FORMAT,
    SAMPLES,
    SIGNED,
    STRIP_BYTES,
    STRIP_OFFSETS,
    TILE_BYTES,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
    Bytes,
    Directory,
    directories,
)
from pipeline.formats.tiff.first_page import (
    DESCRIPTION,
    NEW_SUBFILE_TYPE,
    STACK_PLANES,
    SUBFILE_TYPE,
    check_stack,
    is_reduced,
    preview,
)
from pipeline.formats.tiff.segments import JPEG, SegmentCheck, check_tables, sizes_of

DTYPES = ("uint8", "uint16", "int16", "float32")
"""Types of samples that are read and written."""
_UNSIGNED = 1
_MIN_IS_BLACK, _RGB, _YCBCR = 1, 2, 6
_JPEG, _MASK = 7, 4
"""Compression, and NewSubfileType of a mask."""


def check_directory(directory: Directory, limits: Limits, size: int) -> None:
    """Refuses by the header alone what cannot be read exactly, or only at too high a cost.

    ``size`` is that of the file in bytes; strips and tiles must lie inside it.
    """
    width, height = directory.integers(WIDTH, (0,))[0], directory.integers(HEIGHT, (0,))[0]
    samples = directory.integers(SAMPLES, (1,))[0]
    limits.check(height, width)
    tile = directory.integers(TILE_WIDTH, (width,))[0] * directory.integers(TILE_HEIGHT, (height,))[0]
    if tile > max(limits.max_pixels, 1 << 20) or height * width * samples > limits.max_samples:
        raise ImageError("TOO_LARGE", "the tiles or bands of the raster are larger than any image may be")
    _check_first_page(directory, height * width * samples)
    _check_type(directory)
    _check_colour(directory)
    _check_segments(directory, size)
    if compression_of(directory) == JPEG:
        check_tables(directory.tags.get(JPEG_TABLES, (0, 0, None))[2])


def refused_dtype(name: str) -> ImageError:
    """The error for a raster of samples that are not kept."""
    return ImageError(
        "UNSUPPORTED_DTYPE",
        f"a raster of {name} samples; convert it to one of {', '.join(DTYPES)} with gdal_translate -ot",
    )


def _check_first_page(directory: Directory, samples: int) -> None:
    new, old = (directory.integers(code, (0,))[0] for code in (NEW_SUBFILE_TYPE, SUBFILE_TYPE))
    if is_reduced(new, old):
        raise preview()
    planes = directory.tags.get(STACK_PLANES, (0, 0, b""))[1]
    check_stack(directory.text(DESCRIPTION) or "", planes, samples)


def _check_type(directory: Directory) -> None:
    for kind in set(directory.integers(SAMPLE_FORMAT, (_UNSIGNED,))):
        for bits in set(directory.integers(BITS, (1,))):
            kept = {_UNSIGNED: bits <= 16, SIGNED: bits == 16, FLOAT: bits in (16, 32)}
            if not kept.get(kind, False):
                name = {_UNSIGNED: "unsigned", SIGNED: "signed", FLOAT: "floating-point"}.get(kind, "complex")
                raise refused_dtype(f"{name} {bits} bit")


def _check_colour(directory: Directory) -> None:
    photometric = directory.integers(PHOTOMETRIC, (_MIN_IS_BLACK,))[0]
    is_jpeg = directory.integers(COMPRESSION, (1,))[0] == _JPEG
    if photometric not in (_MIN_IS_BLACK, _RGB) and not (photometric == _YCBCR and is_jpeg):
        raise ImageError(
            "UNSUPPORTED_COLOUR",
            f"a raster of photometric interpretation {photometric}: classes or colours, not measurements; "
            "expand a palette with gdal_translate -expand rgb, or convert to grey or RGB",
        )


def _check_segments(directory: Directory, size: int) -> None:
    """All strips or tiles listed and inside the file; left out only where that means no data."""
    pairs = segments_of(directory)
    if len(pairs) < _expected_segments(directory):
        raise ImageError("TRUNCATED", "the raster lists fewer strips or tiles than it has pixels for")
    if any(offset + count > size for offset, count in pairs):
        raise ImageError("TRUNCATED", "a strip or tile of the raster ends after the file does")
    if GDAL_NODATA not in directory.tags and any(not (offset and count) for offset, count in pairs):
        raise ImageError(
            "TRUNCATED",
            "a strip or tile of the raster is missing, and no nodata value says what stands in its place; "
            "set one with gdal_edit.py -a_nodata",
        )


def segments_of(directory: Directory) -> list[tuple[int, int]]:
    """Offset and length of every strip or tile that is listed."""
    tiled = TILE_WIDTH in directory.tags
    offsets = directory.integers(TILE_OFFSETS if tiled else STRIP_OFFSETS)
    counts = directory.integers(TILE_BYTES if tiled else STRIP_BYTES)
    return list(zip(offsets, counts, strict=False))


def check_segment_data(directory: Directory, data: bytes) -> None:
    """``ImageError("TRUNCATED")`` for a strip or tile that ends early, as far as its own bytes show it."""
    _check_blocks(directory, data)
    check_mask_data(data)


def check_mask_data(data: Bytes) -> None:
    """The same of the file's mask, whose every pixel says whether one of the image holds data."""
    for directory in directories(data):
        if directory is not None and directory.integers(NEW_SUBFILE_TYPE, (0,))[0] == _MASK:
            _check_blocks(directory, data)


def _check_blocks(directory: Directory, data: Bytes) -> None:
    check = segment_check_of(directory)
    for at, count in segments_of(directory):
        if count:
            check.add(data[at : at + count])
    check.finish()


def segment_check_of(directory: Directory) -> SegmentCheck:
    """For the strips or tiles of the raster."""
    width, height = directory.integers(WIDTH)[0], directory.integers(HEIGHT)[0]
    rows = min(directory.integers(ROWS_PER_STRIP, (height,))[0], height)
    if TILE_WIDTH in directory.tags:
        width, rows = directory.integers(TILE_WIDTH)[0], directory.integers(TILE_HEIGHT, (0,))[0]
        height = rows
    samples = 1 if directory.integers(PLANES, (1,))[0] == 2 else directory.integers(SAMPLES, (1,))[0]
    bits = max(directory.integers(BITS, (1,)))
    sizes = sizes_of(rows, height, -(-width * samples * bits // 8))
    return SegmentCheck(compression_of(directory), sizes, rows * width)


def compression_of(directory: Directory) -> int:
    """The number of the compression of strips and tiles; 1 where there is none."""
    return directory.integers(COMPRESSION, (1,))[0]


def _expected_segments(directory: Directory) -> int:
    width, height = directory.integers(WIDTH)[0], directory.integers(HEIGHT)[0]
    samples = directory.integers(SAMPLES, (1,))[0]
    across, rows = 1, directory.integers(ROWS_PER_STRIP, (height,))[0]
    if TILE_WIDTH in directory.tags:
        tile_width, rows = directory.integers(TILE_WIDTH, (0,))[0], directory.integers(TILE_HEIGHT, (0,))[0]
        across = math.ceil(width / max(tile_width, 1))
    planes = samples if directory.integers(PLANES, (1,))[0] == 2 else 1
    return planes * across * math.ceil(height / max(rows, 1))
