"""WebP, lossy and lossless (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.base import (
    EXIF,
    ICC_PROFILE,
    XMP,
    Limits,
    check_opacity,
    codec_errors,
    refuse_pixels,
)
from pipeline.formats.colour import with_profile_of_colour
from pipeline.formats.webp_ends import STREAMS, Decoded, chunk, file_is_whole, read_chunks
from pipeline.imaging.image import Domain, Image, Metadata

_LARGEST_SIDE = 16383
_ANIMATION, _XMP_FLAG, _EXIF_FLAG, _ALPHA_FLAG, _ICC_FLAG = 0x02, 0x04, 0x08, 0x10, 0x20
_METADATA = {b"ICCP": ICC_PROFILE, b"EXIF": EXIF, b"XMP ": XMP}
"""Kind of a chunk -> name of the entry."""
_EXIF_PREFIX = b"Exif\0\0"


class Header(NamedTuple):
    """What the chunks say."""

    height: int
    width: int
    has_alpha: bool
    is_lossless: bool


@dataclass(frozen=True)
class WebP:
    """RGB of 8 bits, with or without alpha. A source that was lossless is written lossless."""

    quality: int = 95
    """Of lossy files, 0..100; alpha is kept exactly either way."""

    name = "webp"
    extensions = (".webp",)
    lossless = False
    read_only = False
    summary = "8 bit RGB and alpha; written lossless if the source was lossless, else at quality 95"

    def recognises(self, data: bytes) -> bool:
        """By the RIFF container and its form."""
        return data[:4] == b"RIFF" and data[8:12] == b"WEBP"

    def decode(self, data: bytes, limits: Limits) -> Image:
        """uint8 RGB; animations are refused."""
        with codec_errors("WebP"):
            chunks = list(read_chunks(data))
            header = header_of(chunks)
            limits.check(header.height, header.width)
            decoded = Decoded()
            if not file_is_whole(data, decoded):
                raise ImageError("TRUNCATED", "the pixel data of the WebP file were not written to their end")
            samples_HWC = _pixels(data, chunks, header, decoded)
            return Image(
                pixels_HWC=np.ascontiguousarray(samples_HWC[:, :, :3]),
                domain=Domain.of_integers("uint8"),
                metadata=Metadata("webp", {**entries_of(chunks), "webp_lossless": header.is_lossless}),
                alpha_HW=np.ascontiguousarray(samples_HWC[:, :, 3]) if header.has_alpha else None,
            )

    def check(self, image: Image) -> None:
        """RGB of 8 bits, within the largest side."""
        height, width, channels = image.size
        if channels != 3 or image.domain.dtype != "uint8" or max(height, width) > _LARGEST_SIDE:
            raise refuse_pixels(
                image,
                "WebP",
                f"8 bit RGB with sides up to {_LARGEST_SIDE}",
                "choose output_format png or tiff",
            )
        check_opacity(image, "WebP")

    def encode(self, image: Image) -> bytes:
        """Lossless at libwebp's least effort (15 times as fast, a tenth larger), or lossy."""
        self.check(image)
        samples_HWC = np.ascontiguousarray(image.samples)
        if _was_lossy(image.metadata):
            encoded = imagecodecs.webp_encode(samples_HWC, level=self.quality, lossless=False)
        else:
            encoded = imagecodecs.webp_encode(samples_HWC, level=0, method=0, lossless=True)
        return _with_metadata(bytes(encoded), image)


def _pixels(
    data: bytes, chunks: list[tuple[bytes, bytes]], header: Header, decoded: Decoded
) -> NDArray[np.uint8]:
    """HWC; those of a stream that is decoded already, where it is all there is."""
    streams = [payload for kind, payload in chunks if kind in STREAMS]
    known = decoded.get(streams[0]) if len(streams) == 1 and not header.has_alpha else None
    return imagecodecs.webp_decode(data, hasalpha=header.has_alpha) if known is None else known


def _was_lossy(metadata: Metadata) -> bool:
    return metadata.format == "jpeg" or metadata.entries.get("webp_lossless") is False


def header_of(chunks: list[tuple[bytes, bytes]]) -> Header:
    """Size, alpha and kind; of several sizes in a broken file the largest, so that no limit is dodged."""
    sizes: list[tuple[int, int]] = []
    extended_flags: int | None = None
    stream_alpha = is_lossless = has_stream = False
    for kind, payload in chunks:
        if kind == b"VP8X":
            extended_flags = payload[0]
            sizes.append(
                (int.from_bytes(payload[7:10], "little") + 1, int.from_bytes(payload[4:7], "little") + 1)
            )
        elif kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", payload, 6)
            sizes.append((height & 0x3FFF, width & 0x3FFF))
            has_stream = True
        elif kind == b"VP8L":
            bits = struct.unpack_from("<I", payload, 1)[0]
            sizes.append(((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1))
            stream_alpha, is_lossless, has_stream = bool(bits >> 28 & 1), True, True
    if extended_flags is not None and extended_flags & _ANIMATION:
        raise ImageError("ANIMATED", 'an animated WebP; take each frame as an image: store = "pages"')
    if not has_stream:
        raise ImageError("UNREADABLE", "the WebP file holds no image")
    has_alpha = stream_alpha if extended_flags is None else bool(extended_flags & _ALPHA_FLAG)
    return Header(*max(sizes, key=lambda size: size[0] * size[1]), has_alpha, is_lossless)


def entries_of(chunks: Iterable[tuple[bytes, bytes]]) -> dict[str, Any]:
    """What the chunks say beside pixels, under the common names."""
    entries: dict[str, Any] = {_METADATA[kind]: payload for kind, payload in chunks if kind in _METADATA}
    if EXIF in entries:
        entries[EXIF] = entries[EXIF].removeprefix(_EXIF_PREFIX)
    return entries


def _with_metadata(encoded: bytes, image: Image) -> bytes:
    """The encoder's bit stream in an extended container, where there is anything to put into one.

    The alpha flag is set whenever the image has alpha: libwebp drops an opaque one from the stream.
    """
    entries = with_profile_of_colour(image.metadata.entries, image.size[2])
    has_alpha = image.alpha_HW is not None
    if not has_alpha and not any(name in entries for name in _METADATA.values()):
        return encoded
    height, width, _ = image.size
    flags = _ALPHA_FLAG * has_alpha + _ICC_FLAG * (ICC_PROFILE in entries)
    flags += _EXIF_FLAG * (EXIF in entries) + _XMP_FLAG * (XMP in entries)
    extended = (
        bytes((flags, 0, 0, 0)) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )
    stream = [each for each in read_chunks(encoded) if each[0] in STREAMS]
    metadata = [(kind, entries[name]) for kind, name in _METADATA.items() if name in entries]
    before = [each for each in metadata if each[0] == b"ICCP"]
    after = [each for each in metadata if each[0] != b"ICCP"]
    body = b"WEBP" + b"".join(chunk(*each) for each in [(b"VP8X", extended), *before, *stream, *after])
    return b"RIFF" + struct.pack("<I", len(body)) + body
