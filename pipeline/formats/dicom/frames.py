"""Compressed frames that end early, which some decoders fill without a word (PS3.5, sections 8.2 and A.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping

import imagecodecs
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from pipeline.errors import ImageError
from pipeline.formats.coded_size import check_coded_size
from pipeline.formats.completeness import ends_with_marker, jpeg_is_whole, packbits_end

_RLE_HEADER = struct.Struct("<16I")
"""How many planes of bytes there are, and where each begins."""
_CHECKS: Mapping[UID, Callable[[bytes], bool]] = {
    JPEGBaseline8Bit: lambda frame: jpeg_is_whole(frame, imagecodecs.jpeg8_decode),
    **dict.fromkeys(
        (
            JPEGExtended12Bit,
            JPEGLossless,
            JPEGLosslessSV1,
            JPEGLSLossless,
            JPEGLSNearLossless,
            JPEG2000Lossless,
            JPEG2000,
            HTJ2KLossless,
            HTJ2KLosslessRPCL,
        ),
        ends_with_marker,
    ),
}
"""Transfer syntax -> whether a frame is all there; the decoders of the others say it themselves."""


def check_frames(dataset: Dataset, syntax: UID, count: int) -> None:
    """``ImageError``: ``TRUNCATED`` for a frame that ends early, ``TOO_LARGE`` for one of far more pixels."""
    is_whole = _CHECKS.get(syntax)
    if syntax == RLELossless:
        pixels = dataset.Rows * dataset.Columns
        is_whole = lambda frame: all(packbits_end(each, (pixels,)) for each in _rle_segments(frame))  # noqa: E731
    if is_whole is None:
        return
    for frame in generate_frames(dataset["PixelData"].value, number_of_frames=count):
        if syntax != RLELossless:
            check_coded_size(frame, dataset.Rows * dataset.Columns)
        if not is_whole(frame):
            raise frame_ended_early()


def _rle_segments(frame: bytes) -> Iterator[bytes]:
    """The planes of bytes of an RLE frame (PS3.5, annex G); none where its header is not one."""
    if len(frame) < _RLE_HEADER.size:
        return
    count, *starts = _RLE_HEADER.unpack_from(frame)
    starts = starts[:count]
    for start, end in zip(starts, [*starts[1:], len(frame)], strict=True):
        yield frame[start:end]


def frame_ended_early() -> ImageError:
    """For a frame without all of its pixels."""
    return ImageError(
        "TRUNCATED",
        "a compressed frame does not decode to its last pixel: the object was cut short, not written to its "
        "end, or is corrupt; fetch it again from where it came",
    )
