"""A NIfTI volume: bytes to image and back (nifti1.h, nifti2.h).

Shapes: H and W the first two axes of the file, C all others, the third fastest.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.base import Limits, refuse_pixels
from pipeline.formats.completeness import was_not_written
from pipeline.formats.gaps import pack_gaps, put_back_gaps
from pipeline.formats.grid import Grid
from pipeline.formats.nifti.head import GAPS, GZIP, NIFTI_HEADER, ZIPPED, head_of
from pipeline.formats.nifti.header import NiftiHeader, move_grid, read_header, write_header
from pipeline.imaging.image import Domain, Image, Metadata

_EXACT_IN_FLOAT = 2**53
_PIECE = 1 << 20
_DEFLATED_TO = 1032
"""Bytes that one may hold at most (RFC 1951)."""
_LARGEST_BEFORE = 1 << 27
"""Bytes of header and extensions, in a file of which nobody knows how much more it holds."""
_MOST_PIECES_BEHIND = 16
"""Besides as many again as the volume has: what may stand behind it in the file."""


def read_volume(data: bytes, limits: Limits) -> Image:
    """See ``pipeline.formats.nifti.format.Nifti.decode``."""
    header = read_header(head_of(data))
    limits.check(*header.size)
    if math.prod(header.shape) > limits.max_pixels:
        raise ImageError(
            "TOO_LARGE",
            f"a volume of {' x '.join(map(str, header.shape))} samples is more than the limit of "
            f"{limits.max_pixels}; raise max_pixels",
        )
    is_zipped = data.startswith(GZIP)
    if is_zipped and header.end > _DEFLATED_TO * len(data):
        raise ImageError("TRUNCATED", "the gzipped NIfTI file ends before its last sample")
    if is_zipped and header.offset > _LARGEST_BEFORE:
        raise ImageError(
            "TOO_LARGE", f"{header.offset} bytes before the first sample, {_LARGEST_BEFORE} are the limit"
        )
    content = _unzipped(data, header.end) if is_zipped else data
    if len(content) < header.end:
        raise ImageError("TRUNCATED", "the NIfTI file ends before its last sample")
    _check_rest(content[header.end :])
    stored = np.frombuffer(content, header.dtype, math.prod(header.shape), offset=header.offset)
    samples_HWC = np.ascontiguousarray(
        stored.reshape(*header.shape[:2], -1, order="F"), dtype=header.dtype.newbyteorder("=")
    )
    entries: dict[str, Any] = {NIFTI_HEADER: content[: header.offset], ZIPPED: is_zipped}
    valid_HW = None
    if header.dtype.kind == "f" and not (finite_HWC := np.isfinite(samples_HWC)).all():
        entries[GAPS] = pack_gaps(samples_HWC, ~finite_HWC)
        valid_HW = finite_HWC.all(axis=2)
        if not valid_HW.any():
            raise ImageError("ALL_NODATA", "no place of the volume is finite in every slice and time")
    return Image(samples_HWC, _domain(header, samples_HWC), Metadata("nifti", entries), valid_HW)


def _check_rest(rest: bytes) -> None:
    """``ImageError("UNREADABLE")`` for slices or times that ``dim`` does not count: they would be lost.

    Zeros are padding to a block of some medium.
    """
    if rest.strip(b"\0"):
        raise ImageError(
            "UNREADABLE",
            "the NIfTI file goes on behind the last sample that dim counts; correct dim, or cut the file",
        )


def check_volume(image: Image) -> None:
    """See ``pipeline.formats.nifti.format.Nifti.check``."""
    move_grid(*_header_and_grid(image))


def write_volume(image: Image) -> bytes:
    """See ``pipeline.formats.nifti.format.Nifti.encode``."""
    entries = image.metadata.entries
    header, grid = _header_and_grid(image)
    samples_HWC = image.pixels_HWC
    if GAPS in entries:
        samples_HWC = put_back_gaps(samples_HWC, entries[GAPS], grid, header.size)
    moved = write_header(move_grid(header, grid)) + entries[NIFTI_HEADER][header.length :]
    content = moved + samples_HWC.astype(header.dtype).tobytes(order="F")
    return _zipped(content) if entries[ZIPPED] else content


def _header_and_grid(image: Image) -> tuple[NiftiHeader, Grid]:
    """Of the source. Raises ``ImageError`` where the image is none of this header."""
    entries = image.metadata.entries
    if NIFTI_HEADER not in entries or image.alpha_HW is not None:
        raise refuse_pixels(
            image, "NIfTI", "volumes that came from a NIfTI file", "choose output_format png or tiff"
        )
    header = read_header(entries[NIFTI_HEADER])
    channels = math.prod(header.shape[2:])
    if image.size[2] != channels or image.domain.dtype != header.dtype.newbyteorder("=").name:
        raise refuse_pixels(
            image,
            "this NIfTI file",
            f"{channels} channels of {header.dtype.name}",
            "choose output_format tiff",
        )
    return header, Grid.between(header.size, image.size[:2])


def _domain(header: NiftiHeader, samples_HWC: NDArray[Any]) -> Domain:
    """From the header's display range where it has one, else from zero to the volume's greatest value.

    No integer type gives the range of an MR volume, and fastMRI (Zbontar et al. 2018, arXiv:1811.08839,
    sec. 5.2) takes the greatest value of the whole volume: one range for all slices, zero staying zero.
    """
    scales, offsets = ((header.slope,), (header.intercept,)) if header.slope else ((), ())
    dtype = samples_HWC.dtype.name
    if header.calibrated is not None:
        low, high = header.calibrated
        return Domain(dtype, low, high, scales=scales, offsets=offsets, rule="header")
    finite = samples_HWC[np.isfinite(samples_HWC)]
    low, high = min(0.0, float(finite.min())), max(0.0, float(finite.max()))
    if header.dtype.kind in "iu" and max(-low, high) > _EXACT_IN_FLOAT:
        raise ImageError("UNSUPPORTED_DTYPE", "integers of more than 53 bits; store them as float64")
    return Domain(dtype, low, high if high > low else low + 1, scales=scales, offsets=offsets, rule="volume")


def _unzipped(data: bytes, length: int) -> bytes:
    """What the header announces and the rest, behind which the checksum stands."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            pieces = [file.read(length)]
            for _ in range(length // _PIECE + _MOST_PIECES_BEHIND):
                if not (piece := file.read(_PIECE)):
                    return b"".join(pieces)
                pieces.append(piece)
    except EOFError:
        raise ImageError("TRUNCATED", "the gzipped NIfTI file ends early") from None
    except (zlib.error, gzip.BadGzipFile):
        reason = "TRUNCATED" if was_not_written(data) else "UNREADABLE"
        raise ImageError(reason, "the gzipped NIfTI file is corrupt, or was not written to its end") from None
    raise ImageError("UNREADABLE", "the gzipped NIfTI file holds far more than its header says")


def _zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0) as stream:
        stream.write(content)
    return file.getvalue()
