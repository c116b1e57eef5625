"""Whether the pixel stream of a WebP file was written to its end: to its decoder, any bytes are codes.

Whatever bytes stand in a stream, they decode to some image. What tells an encoder's own end from zeros, ones
or another file's bytes in its place is that an encoder writes no more than it needs. Bytes that are by chance
just what an encoder would have written for the image that they decode to cannot be told apart by anyone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError

STREAMS = (b"ALPH", b"VP8 ", b"VP8L")
_OWN_LOSSLESS = 2
"""Bytes at the end of a lossless stream that its image may do without: they fill a word of the encoder."""
_ONES = b"\xff" * 8
"""An end of as many longest codes: repeated pixels are written otherwise."""
_OWN_ZEROS_LOSSY = 6
"""At the end of a lossy stream: what the decoder reads ahead, and the 32 bits with which RFC 6386
(section 7.3) and libvpx end one; libwebp ends with up to 9."""


def chunk(kind: bytes, payload: bytes) -> bytes:
    """As it stands in a RIFF container."""
    return kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)


def read_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and payload of each; ``ImageError("TRUNCATED")`` where the file ends before one does."""
    end = struct.unpack_from("<I", data, 4)[0] + 8 if len(data) >= 12 else 12
    if end > len(data):
        raise ImageError("TRUNCATED", "the WebP file is shorter than its header says")
    position = 12
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, position)
        if position + 8 + length > end:
            raise ImageError("TRUNCATED", "the WebP file ends inside a chunk")
        yield kind, data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


class Decoded(dict[bytes, NDArray[np.uint8] | None]):
    """Stream -> its pixels, so that what the checks decode is the image as well; decoding takes longest."""


def file_is_whole(data: bytes, decoded: Decoded | None = None) -> bool:
    """Whether the pixels of a WebP file, a strip or a tile of TIFF for one, were written to their end.

    ``decoded`` gets those of a lossy stream, if they were looked at.
    """
    streams = [each for each in read_chunks(data) if each[0] in STREAMS]
    return not any(was_not_written(kind, payload, decoded) for kind, payload in streams)


def was_not_written(kind: bytes, stream: bytes, known: Decoded | None = None) -> bool:
    """Whether other bytes stand where the end of a stream should: the image does not need the last of them,
    or means the same with others (that it needs more of them, the decoder notices).
    """
    decoded = Decoded() if known is None else known
    if kind == b"VP8L":
        return stream.endswith(_ONES) or _is_same(kind, stream, stream[: -_OWN_LOSSLESS - 1], decoded)
    if kind != b"VP8 ":
        return False
    needless = _OWN_ZEROS_LOSSY + 1
    if stream.endswith(bytes(needless)) and _decoded(kind, stream[:-needless]) is not None:
        return True
    return _is_inside_an_interval(stream, decoded) and _is_inside_an_interval(
        _without_needless_zeros(stream), decoded
    )


def _without_needless_zeros(stream: bytes) -> bytes:
    """With one of them: libwebp itself ends so."""
    while stream.endswith(b"\0\0") and _decoded(b"VP8 ", stream[:-1]) is not None:
        stream = stream[:-1]
    return stream


def _is_inside_an_interval(stream: bytes, decoded: Decoded) -> bool:
    """Whether a lossy stream, read as one number, means the same when it is a little smaller.

    Arithmetic codes (RFC 6386, section 7): each image has an interval of numbers, and encoders end by
    writing its lower end, in full. The number below belongs to another image, and as all its further codes
    are ones, to one that needs more of them than there are. Where zeros were put in the place of other codes,
    the number lies somewhere inside.
    """
    core = stream.rstrip(b"\0")
    below = core[:-1] + bytes((core[-1] - 1,)) + b"\xff" * (len(stream) - len(core)) if core else b""
    return _is_same(b"VP8 ", stream, below, decoded)


def _is_same(kind: bytes, stream: bytes, other: bytes, decoded: Decoded) -> bool:
    """Whether both decode, and to the same pixels; libwebp makes others of some that are a byte too short."""
    others = _decoded(kind, other)
    if others is None:
        return False
    if stream not in decoded:
        decoded[stream] = _decoded(kind, stream)
    return np.array_equal(others, decoded[stream])  # type: ignore[arg-type]


def _decoded(kind: bytes, stream: bytes) -> NDArray[np.uint8] | None:
    """The pixels of a stream alone; ``None`` where there are too few codes, as libwebp notices."""
    body = b"WEBP" + chunk(kind, stream)
    try:
        return imagecodecs.webp_decode(b"RIFF" + struct.pack("<I", len(body)) + body)
    except Exception:
        return None
