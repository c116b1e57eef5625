"""Whether compressed data are all there, where their decoders fill what is missing and only warn, if that."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_END = b"\xff\xd9"
"""End of image in JPEG and JPEG-LS (ITU-T T.81, T.87), end of codestream in JPEG 2000 (T.800)."""
_PADDING = b"\0\xff"
_LARGEST_TAIL = 1 / 12
"""Zero bytes at the end of a WebP stream, as a share of it. Flat images end in up to 1/18."""
_SHORT_TAIL = 64
_FEW_ZEROS = 16
_FILLINGS = (
    b"\xff" * 2048,
    *(bytes((first,)) + bytes(range(1, 255)) * 8 for first in range(9, 256, 19)),
)
"""Codes to go on with, whatever code was begun: the first repeats the row above, the others draw."""
_END_OF_BLOCK = "000000000001" * 2
"""Behind the last row of group 4 (T.6, section 2.4.1.1)."""
_STEP = 1 << 20


def ends_with_marker(stream: bytes) -> bool:
    """Whether a JPEG, JPEG-LS or JPEG 2000 stream has its end marker; padding behind it does not count."""
    return stream.rstrip(_PADDING).endswith(_END)


def ends_in_zeros(stream: bytes) -> bool:
    """Whether so much of the end of a WebP stream is zero that it was never written.

    Its arithmetic decoder takes zeros for pixels without an error (RFC 6386, section 7).
    """
    tail = len(stream) - len(stream.rstrip(b"\0"))
    return tail >= max(_SHORT_TAIL, len(stream) * _LARGEST_TAIL)


def deflate_ends(stream: bytes) -> bool:
    """Whether a zlib stream (RFC 1950) has its end, and the checksum of all that it holds.

    libtiff stops when a tile is full and looks at neither; zeros in the place of codes are codes too.
    Raises ``zlib.error`` where it is corrupt.
    """
    inflater, rest = zlib.decompressobj(), stream
    while rest and not inflater.eof:
        inflater.decompress(rest, _STEP)
        rest = inflater.unconsumed_tail
    return inflater.eof


def was_not_written(stream: bytes) -> bool:
    """Whether a stream that does not decode ends in zeros, as a file does that was only begun."""
    return stream.endswith(bytes(_FEW_ZEROS))


def fax_is_whole(encoded: bytes, decode: Callable[[bytes], NDArray[np.generic] | None]) -> bool:
    """Whether CCITT data (ITU-T T.4, T.6) code every row: whatever follows them then changes nothing.

    Decoders take missing rows for white ones.
    """
    core = encoded.rstrip(b"\0")  # no code ends in a whole byte of zeros
    if _has_end_of_block(core):
        return True
    decoded = decode(encoded)
    return decoded is not None and all(
        (other := decode(core + filling)) is not None and np.array_equal(other, decoded)
        for filling in _FILLINGS
    )


def _has_end_of_block(encoded: bytes) -> bool:
    """In either order of the bits in a byte."""
    last = [f"{byte:08b}" for byte in encoded[-5:]]
    orders = "".join(last), "".join(bits[::-1] for bits in last)
    return any(bits.rstrip("0").endswith(_END_OF_BLOCK) for bits in orders)


def jpeg_is_whole(encoded: bytes, decode: Callable[[bytes], NDArray[np.generic] | None]) -> bool:
    """Whether a JPEG stream of Huffman codes holds every block: further codes then change nothing.

    libjpeg fills missing blocks with grey and only warns.
    """
    if not ends_with_marker(encoded):
        return False
    core = encoded.rstrip(_PADDING).removesuffix(_END)
    decoded, other = decode(encoded), decode(core + bytes(range(1, 255)) * 64 + _END)
    return decoded is not None and other is not None and np.array_equal(decoded, other)
