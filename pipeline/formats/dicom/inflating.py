"""Deflated DICOM objects (PS3.5 A.5), inflated as far as their own header allows and no farther.

A few megabytes of zeros inflate to gigabytes: what comes out behind the pixels that the header announces is
no image, and memory is not filled with it.
"""

from __future__ import annotations

import io
import zlib

import pydicom

from pipeline.errors import ImageError

_STEP = 1 << 22
_HEADER = 1 << 24
"""Bytes within which rows and columns must have come; also what may stand beside the pixels."""
_LARGEST = 1 << 31
_COUNTS = ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated")


def inflate(deflated: bytes, plain_meta: bytes) -> bytes:
    """The object in Explicit VR Little Endian, beginning with its file meta information ``plain_meta``.

    ``ImageError``: ``TOO_LARGE`` where more comes out than the header announces, ``TRUNCATED`` where it
    ends early.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    parts, size, allowed, left = [plain_meta], 0, _LARGEST, deflated
    while not inflater.eof:
        part = inflater.decompress(left, _STEP)
        left = inflater.unconsumed_tail
        if not part and not left:
            break
        parts.append(part)
        size += len(part)
        if size >= _HEADER and allowed == _LARGEST:
            allowed = min(_LARGEST - 1, _announced(b"".join(parts)) + 2 * _HEADER)
        if size > allowed:
            raise ImageError("TOO_LARGE", "the deflated DICOM object holds more than its header announces")
    if not inflater.eof:
        raise ImageError("TRUNCATED", "the deflated DICOM object ends early")
    return b"".join(parts)


def _announced(start: bytes) -> int:
    """Bytes of the pixels by the header; 0 where the first megabytes hold none."""
    try:
        header = pydicom.dcmread(io.BytesIO(start), specific_tags=list(_COUNTS), stop_before_pixels=True)
        rows, columns, frames, samples, bits = (int(header.get(name) or 1) for name in _COUNTS)
    except Exception:  # cut in the middle of an element, or damaged
        return 0
    return max(0, rows * columns * frames * samples * bits // 8)
