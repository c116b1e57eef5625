"""WebP, lossy and lossless (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import imagecodecs
import numpy as np

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
from pipeline.formats.completeness import ends_in_zeros
from pipeline.imaging.image import Domain, Image, Metadata

_LARGEST_SIDE = 16383
_ANIMATION, _XMP_FLAG, _EXIF_FLAG, _ALPHA_FLAG, _ICC_FLAG = 0x02, 0x04, 0x08, 0x10, 0x20
_METADATA = {b"ICCP": ICC_PROFILE, b"EXIF": EXIF, b"XMP ": XMP}
_STREAMS = (b"ALPH", b"VP8 ", b"VP8L")
_EXIF_PREFIX = b"Exif\0\0"
_OWN_ZEROS = 2
"""At the end of a lossless stream: the last codes of the image, and a byte to fill a word of the encoder."""


class _Header(NamedTuple):
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
            chunks = list(_read_chunks(data))
            header = _read_header(chunks)
            limits.check(header.height, header.width)
            if any(_was_not_written(kind, payload) for kind, payload in chunks if kind in _STREAMS):
                raise ImageError("TRUNCATED", "the pixel data of the WebP file were not written to their end")
            samples_HWC = imagecodecs.webp_decode(data, hasalpha=header.has_alpha)
            return Image(
                pixels_HWC=np.ascontiguousarray(samples_HWC[:, :, :3]),
                domain=Domain.of_integers("uint8"),
                metadata=Metadata("webp", _entries(chunks, header)),
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


def _was_lossy(metadata: Metadata) -> bool:
    return metadata.format == "jpeg" or metadata.entries.get("webp_lossless") is False


def _was_not_written(kind: bytes, stream: bytes) -> bool:
    """Whether zeros stand where the end of a stream should.

    Zeros are codes too, and a lossless stream may end in many of them. But they are the shortest codes: where
    they stand for others, the image is full before they are at their end, and does not need the last ones.
    """
    if kind != b"VP8L":
        return ends_in_zeros(stream)
    return stream.endswith(bytes(_OWN_ZEROS + 1)) and _decodes(stream[:-_OWN_ZEROS])


def _decodes(stream: bytes) -> bool:
    """Whether so much of a lossless stream is enough for its image; libwebp says where it ends early."""
    chunk = _chunk(b"VP8L", stream)
    try:
        imagecodecs.webp_decode(b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk)
    except Exception:
        return False
    return True


def _read_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
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


def _read_header(chunks: list[tuple[bytes, bytes]]) -> _Header:
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
        raise ImageError("ANIMATED", "an animated WebP; split it into its frames")
    if not has_stream:
        raise ImageError("UNREADABLE", "the WebP file holds no image")
    has_alpha = stream_alpha if extended_flags is None else bool(extended_flags & _ALPHA_FLAG)
    return _Header(*max(sizes, key=lambda size: size[0] * size[1]), has_alpha, is_lossless)


def _entries(chunks: list[tuple[bytes, bytes]], header: _Header) -> dict[str, Any]:
    entries: dict[str, Any] = {_METADATA[kind]: payload for kind, payload in chunks if kind in _METADATA}
    if EXIF in entries:
        entries[EXIF] = entries[EXIF].removeprefix(_EXIF_PREFIX)
    return {**entries, "webp_lossless": header.is_lossless}


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
    stream = [chunk for chunk in _read_chunks(encoded) if chunk[0] in _STREAMS]
    metadata = [(kind, entries[name]) for kind, name in _METADATA.items() if name in entries]
    before = [chunk for chunk in metadata if chunk[0] == b"ICCP"]
    after = [chunk for chunk in metadata if chunk[0] != b"ICCP"]
    body = b"WEBP" + b"".join(_chunk(*chunk) for chunk in [(b"VP8X", extended), *before, *stream, *after])
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
