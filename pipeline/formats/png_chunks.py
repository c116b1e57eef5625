"""The container of PNG: chunks of length, type, data and CRC (W3C PNG, third edition, section 5)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.errors import ImageError
from pipeline.formats.colour import Colour, Primaries, of_code_points, of_gamma

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
_LARGEST_PROFILE = 64 << 20
_SIZE_FREE = frozenset(
    {b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"tIME", b"sCAL", b"sTER"}
)
"""Registered chunks that are not marked safe to copy, but whose meaning does not hang on the samples."""
_DEPTH_BOUND = frozenset({b"sBIT", b"bKGD"})
"""Chunks that are written in samples of the image's own colour type and bit depth."""
_SAMPLE_BOUND = b"pCAL"
"""Counts in shares of the greatest sample, which another bit depth does not change and a palette does."""


class Chunk(NamedTuple):
    """One chunk: a type of four letters, and its data."""

    kind: bytes
    data: bytes

    @property
    def is_critical(self) -> bool:
        """Whether the pixels cannot be decoded without it: a capital first letter."""
        return not self.kind[0] & 0x20

    @property
    def is_safe_to_copy(self) -> bool:
        """Whether it stays true when the pixels change: a small last letter."""
        return bool(self.kind[3] & 0x20)

    def to_bytes(self) -> bytes:
        """Length, type, data and CRC."""
        checksum = zlib.crc32(self.data, zlib.crc32(self.kind))
        return b"%b%b%b%b" % (
            struct.pack(">I", len(self.data)),
            self.kind,
            self.data,
            struct.pack(">I", checksum),
        )


def read_chunks(data: bytes) -> Iterator[Chunk]:
    """All chunks up to and with IEND; lazily, so that the header is seen before the rest is touched.

    Raises ``ImageError``: ``TRUNCATED`` where the file ends before IEND, ``UNREADABLE`` on a wrong CRC.
    """
    position, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise ImageError("TRUNCATED", "the PNG file ends before its end marker")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise ImageError("TRUNCATED", "the PNG file ends inside a chunk")
        if zlib.crc32(memoryview(data)[position + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            if not any(data[end:]):
                raise ImageError("TRUNCATED", "the PNG file was not written to its end: there are zeros")
            raise ImageError("UNREADABLE", "the PNG file is corrupt: a chunk does not match its checksum")
        yield Chunk(kind, data[position + 8 : end])
        position = end + 4


def join_chunks(chunks: Iterable[Chunk]) -> bytes:
    """A PNG file of these chunks."""
    return SIGNATURE + b"".join(chunk.to_bytes() for chunk in chunks)


def carried(chunks: Iterable[Chunk], *, same_samples: bool, is_palette: bool = False) -> tuple[Chunk, ...]:
    """The ancillary chunks that stay true when the pixels change, in order.

    ``same_samples``: whether colour type and bit depth stay as stored, too. ``is_palette``: whether samples
    were places in a palette.
    """
    return tuple(
        chunk
        for chunk in chunks
        if not chunk.is_critical
        and (
            chunk.is_safe_to_copy
            or chunk.kind in _SIZE_FREE
            or (same_samples and chunk.kind in _DEPTH_BOUND)
            or (chunk.kind == _SAMPLE_BOUND and not is_palette)
        )
    )


def icc_profile(chunk: Chunk) -> bytes | None:
    """The profile in an iCCP chunk, or None where it is broken or larger than any profile."""
    _, _, rest = chunk.data.partition(b"\0")
    try:
        inflater = zlib.decompressobj()
        profile = inflater.decompress(rest[1:], _LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if inflater.eof else None


def icc_chunk(profile: bytes) -> Chunk:
    """An iCCP chunk that holds the profile."""
    return Chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile, 9))


def xmp_packet(chunk: Chunk) -> bytes | None:
    """The XMP packet in an uncompressed iTXt chunk, or None where the chunk is another text."""
    keyword, _, rest = chunk.data.partition(b"\0")
    if keyword != XMP_KEYWORD or rest[:1] != b"\0":
        return None
    return rest[2:].split(b"\0", 2)[-1]


def xmp_chunk(packet: bytes) -> Chunk:
    """An iTXt chunk that holds the packet."""
    return Chunk(b"iTXt", XMP_KEYWORD + b"\0" * 5 + packet)


def colour_of(chunks: Iterable[Chunk]) -> Colour | None:
    """What the chunks say of colours besides a profile, by their rank: cICP, sRGB, then gAMA and cHRM.

    ``None`` where they say nothing, or sRGB (PNG third edition, section 4.3).
    """
    found = {chunk.kind: chunk.data for chunk in chunks}
    if len(found.get(b"cICP", b"")) == 4:
        return of_code_points(*found[b"cICP"][:2])
    if b"sRGB" in found:
        return None
    exponent, primaries = _exponent(found.get(b"gAMA", b"")), _primaries(found.get(b"cHRM", b""))
    return of_gamma(exponent, primaries) if exponent or primaries else None


def code_points_chunk(primaries: int, transfer: int) -> Chunk:
    """A cICP chunk: of red, green and blue in full range."""
    return Chunk(b"cICP", bytes((primaries, transfer, 0, 1)))


def _exponent(data: bytes) -> float | None:
    value = int.from_bytes(data, "big") if len(data) == 4 else 0
    return 100_000 / value if value else None


def _primaries(data: bytes) -> Primaries | None:
    """``None`` where they are missing or span no colours."""
    if len(data) != 32:
        return None
    x_w, y_w, x_r, y_r, x_g, y_g, x_b, y_b = (each / 100_000 for each in struct.unpack(">8I", data))
    area = (x_g - x_r) * (y_b - y_r) - (x_b - x_r) * (y_g - y_r)
    is_sound = abs(area) > 1e-4 and min(y_w, y_r, y_g, y_b) > 1e-4
    return (x_w, y_w, x_r, y_r, x_g, y_g, x_b, y_b) if is_sound else None
