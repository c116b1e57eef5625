"""Pixel data that end early, go on, or are other ones than the header says, of which decoders say no word.

PS3.5, sections 8.1.1, 8.2 and A.4.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Mapping

import imagecodecs
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments, generate_frames, parse_basic_offsets
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
from pipeline.formats.coded_size import check_coded_size, coded_shape
from pipeline.formats.completeness import ends_with_marker, jpeg_is_whole, packbits_end
from pipeline.formats.dicom.layout import PixelLayout

_BEGINNINGS = (b"\xff\xd8", b"\xff\x4f\xff\x51")
"""Of a JPEG or JPEG-LS stream, and of a codestream of JPEG 2000."""
_JP2_BOX = b"jP  "
"""In the box before a codestream of JPEG 2000 that has boxes (T.800, I.5.1)."""
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


def check_frames(dataset: Dataset, syntax: UID, layout: PixelLayout) -> None:
    """``ImageError`` where PixelData are not the pixels that the header describes, all of them and no others.

    ``TRUNCATED`` for a frame that ends early or is missing, ``TOO_LARGE`` for one of far more pixels,
    ``UNREADABLE`` for one of another size, and for more frames.
    """
    if not syntax.is_encapsulated:
        if len(dataset["PixelData"].value) < layout.native_bytes:
            raise ImageError("TRUNCATED", "PixelData is shorter than Rows, Columns and the rest say")
        _check_no_more_pixels(dataset, layout)
        return
    parts = _parts(dataset["PixelData"].value)
    if len(parts[1]) < layout.frames:
        raise frame_ended_early()
    _check_no_more_frames(parts, syntax, layout)
    is_whole = _CHECKS.get(syntax)
    if syntax == RLELossless:
        pixels = layout.rows * layout.columns
        is_whole = lambda frame: all(packbits_end(each, (pixels,)) for each in _rle_segments(frame))  # noqa: E731
    if is_whole is None:
        return
    for frame in generate_frames(dataset["PixelData"].value, number_of_frames=layout.frames):
        if syntax != RLELossless:
            _check_shape(frame, layout)
        if not is_whole(frame):
            raise frame_ended_early()


def check_no_more(dataset: Dataset, syntax: UID, layout: PixelLayout) -> None:
    """``ImageError("UNREADABLE")`` where PixelData hold more than the header says, be it further frames.

    Decoders take what they need and say nothing of the rest. Zeros of less than a frame are padding.
    """
    if syntax.is_encapsulated:
        _check_no_more_frames(_parts(dataset["PixelData"].value), syntax, layout)
    else:
        _check_no_more_pixels(dataset, layout)


def _check_no_more_pixels(dataset: Dataset, layout: PixelLayout) -> None:
    rest = dataset["PixelData"].value[layout.native_bytes + layout.native_bytes % 2 :]
    if len(rest) * layout.frames >= layout.native_bytes or rest.strip(b"\0"):
        raise _contradiction("PixelData holds more pixels")


def _check_no_more_frames(parts: tuple[int, list[bytes]], syntax: UID, layout: PixelLayout) -> None:
    offsets, fragments = parts
    begun = len(fragments) if syntax == RLELossless else sum(map(_begins_frame, fragments))
    if max(begun, offsets) > layout.frames:
        raise _contradiction("PixelData holds more frames")


def _parts(pixels: bytes) -> tuple[int, list[bytes]]:
    """How many offsets the table has, 0 without one, and the fragments before the end or the first fault."""
    file, fragments = io.BytesIO(pixels), []
    try:
        offsets = len(parse_basic_offsets(file))
        for fragment in generate_fragments(file):
            fragments.append(fragment)
    except (ValueError, EOFError):
        return 0, fragments
    return offsets, fragments


def _begins_frame(fragment: bytes) -> bool:
    """Whether it is the first of a frame's: what stands inside of compressed data does not look like that."""
    return fragment.startswith(_BEGINNINGS) or fragment[4:8] == _JP2_BOX


def _check_shape(frame: bytes, layout: PixelLayout) -> None:
    """A decoder goes by the frame's own header, and its pixels would be laid out by the object's."""
    check_coded_size(frame, layout.rows * layout.columns)
    height, width, samples = coded_shape(frame)
    if height and (height, width, samples) != (layout.rows, layout.columns, layout.samples):
        raise _contradiction(f"a frame has {width} x {height} pixels of {samples} samples: other ones")


def _contradiction(found: str) -> ImageError:
    return ImageError(
        "UNREADABLE",
        f"{found} than Rows, Columns, SamplesPerPixel, BitsAllocated and NumberOfFrames say; correct the "
        "DICOM header",
    )


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
