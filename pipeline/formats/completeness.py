"""Whether compressed data are all there, where their decoders fill what is missing and only warn, if that."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Collection

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from pipeline.formats.jpeg_segments import restarts_are_whole

_END = b"\xff\xd9"
"""End of image in JPEG and JPEG-LS (ITU-T T.81, T.87), end of codestream in JPEG 2000 (T.800)."""
_PADDING = b"\0\xff"
_FEW_ZEROS = 16
_FILLINGS = (
    b"\xff" * 2048,
    *(bytes((first,)) + bytes(range(1, 255)) * 8 for first in range(9, 256, 19)),
)
"""Codes to go on with, whatever code was begun: the first repeats the row above, the others draw."""
_OTHER_CODES = tuple(bytes((first, second, 91)) * 9 for first in range(7, 256, 19) for second in (110, 183))
"""Codes in the place of others: where one of them is none, decoders leave the rest of the row white."""
_ENDS_OF_BLOCK = ("000000000001" * 2, "0000000000011" * 2)
"""Behind the last row of group 4 (T.6, section 2.4.1.1), and of group 3 with rows of two dimensions."""
_NEEDLESS_FAX = 3
"""Bytes behind the last row that no writer adds: an end of line has 12 bits."""
_END_OF_INFORMATION = "100000001"
"""Behind the last code of LZW (TIFF 6.0, section 13), with zeros before and behind it."""
_NARROW = 32
_STEP = 1 << 20
_LZMA_MEMORY = 1 << 28
"""Four times what the highest preset of xz asks for."""

FaxDecoder = Callable[[bytes], NDArray[np.generic] | None]


def ends_with_marker(stream: bytes) -> bool:
    """Whether a JPEG, JPEG-LS or JPEG 2000 stream has its end marker; padding behind it does not count."""
    return stream.rstrip(_PADDING).endswith(_END)


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


def lzma_ends(stream: bytes) -> bool:
    """Whether an xz stream has its end and its checksums, at which libtiff does not look either.

    Raises ``lzma.LZMAError`` where it is corrupt.
    """
    unpacker, rest = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY), stream
    while not unpacker.eof and (rest or not unpacker.needs_input):
        unpacker.decompress(rest, _STEP)
        rest = b""
    return unpacker.eof


def lzw_ends(stream: bytes) -> bool:
    """Whether an LZW stream has its end, or is of a writer that leaves it out and ends in another code.

    Zeros in the place of codes are codes of black.
    """
    return not stream.endswith(b"\0") or lzw_has_end(stream)


def lzw_has_end(stream: bytes) -> bool:
    """Whether an LZW stream closes with its end mark."""
    return _ends_with_bits(stream.rstrip(b"\0"), _END_OF_INFORMATION)


def packbits_end(stream: bytes, sizes: Collection[int]) -> bool:
    """Whether a PackBits stream (TIFF 6.0, section 9) ends with a run, and holds as much as it may.

    One byte behind the last run is none of its own: some writers round lengths up. No more is decoded than
    there may be, for two bytes can stand for 128.
    """
    for runs in (stream, stream[:-1]):
        try:
            return len(imagecodecs.packbits_decode(runs, out=max(sizes, default=0))) in sizes
        except imagecodecs.PackbitsError:
            continue
    return False


def was_not_written(stream: bytes) -> bool:
    """Whether a stream that does not decode ends in zeros, as a file does that was only begun."""
    return stream.endswith(bytes(_FEW_ZEROS))


def fax_is_whole(encoded: bytes, decode: FaxDecoder, *, has_end_of_block: bool = False) -> bool:
    """Whether CCITT data (ITU-T T.4, T.6) code every row, and end with the last of them.

    Decoders take missing rows for white ones, and stop when they have all rows: other data in the place of
    codes make too few of them, or too many. ``has_end_of_block``: whether its kind should have one.
    """
    core = encoded.rstrip(b"\0")
    if any(_ends_with_bits(core, end) for end in _ENDS_OF_BLOCK):
        return True
    decoded = decode(encoded)
    zeros_of_code = 8 if len(encoded) - len(core) == 1 and not has_end_of_block else 1
    return (
        decoded is not None
        and any(_has_all(core, zeros, decoded, decode) for zeros in range(zeros_of_code))
        and not _is_needless(core, decoded, decode)
    )


def _has_all(core: bytes, zeros: int, decoded: NDArray[np.generic], decode: FaxDecoder) -> bool:
    """Whether fax codes and so many zeros, with which the last code may end, are all rows."""
    return all(
        _is_same(decoded, decode(core + bytes(((filling[0] | 0x80) >> zeros,)) + filling))
        for filling in _FILLINGS
    )


def _is_needless(core: bytes, decoded: NDArray[np.generic], decode: FaxDecoder) -> bool:
    """Whether the last codes may be others; not asked of narrow images, of which most codes are too long."""
    kept = core[:-_NEEDLESS_FAX]
    is_narrow = decoded.shape[-2] < _NARROW
    return not is_narrow and all(_is_same(decoded, decode(kept + other)) for other in _OTHER_CODES)


def _is_same(decoded: NDArray[np.generic], other: NDArray[np.generic] | None) -> bool:
    return other is not None and np.array_equal(decoded, other)


def _ends_with_bits(encoded: bytes, end: str) -> bool:
    """In either order of the bits in a byte, and with zeros behind them."""
    last = [f"{byte:08b}" for byte in encoded[-5:]]
    orders = "".join(last), "".join(bits[::-1] for bits in last)
    return any(bits.rstrip("0").endswith(end) for bits in orders)


def jpeg_is_whole(encoded: bytes, decode: Callable[[bytes], NDArray[np.generic] | None]) -> bool:
    """Whether a JPEG stream of Huffman codes holds every block: further codes then change nothing.

    libjpeg fills missing blocks with grey and only warns, also where a part between restart markers is gone.
    """
    if not ends_with_marker(encoded) or not restarts_are_whole(encoded):
        return False
    core = encoded.rstrip(_PADDING).removesuffix(_END)
    decoded, other = decode(encoded), decode(core + bytes(range(1, 255)) * 64 + _END)
    return decoded is not None and other is not None and np.array_equal(decoded, other)
