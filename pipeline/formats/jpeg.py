"""JPEG, 8-bit grey and YCbCr (ITU-T T.81, JFIF 1.02).

Pixels stay as stored and the EXIF goes along unchanged, orientation with it: viewers then turn the
restored file just as they turned its source. Turning the pixels here would mean rewriting the EXIF, and
every mask or reference that belongs to the source would have to be turned the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.base import EXIF, GAIN_MAP_LEFT, ICC_PROFILE, XMP, Limits, codec_errors, refuse_pixels
from pipeline.formats.colour import with_profile_of_colour
from pipeline.formats.jpeg_segments import (
    APP0,
    APP1,
    APP13,
    COMMENT,
    EXIF_PREFIX,
    EXTENDED_XMP_PREFIX,
    JFIF_PREFIX,
    LARGEST_PAYLOAD,
    XMP_PREFIX,
    Segment,
    frame_header,
    icc_profile,
    icc_segments,
    is_arithmetic,
    is_progressive,
    read_segments,
)
from pipeline.formats.jpeg_views import check_views
from pipeline.imaging.image import Domain, Image, Metadata

_LARGEST_SIDE = 65500
_GAIN_MAPS = (b"http://ns.adobe.com/hdr-gain-map/", b"urn:iso:std:iso:ts:21496:-1", b"HDRGainMap")
"""Ultra HDR and Adobe, ISO 21496-1, Apple: what their files hold behind the image or say of it."""
_NO_DENSITY = b"\0\0\1\0\1"
_START, _END = b"\xff\xd8", b"\xff\xd9"


@dataclass(frozen=True)
class Jpeg:
    """Grey or RGB of 8 bits; CMYK is refused, for it cannot be restored without its press profile."""

    quality: int = 95
    """1..100, the scale of the Independent JPEG Group."""
    subsampling: str = "444"
    """Of the colour planes: ``444``, ``422`` or ``420``."""

    name = "jpeg"
    extensions = (".jpg", ".jpeg", ".jpe", ".jfif")
    lossless = False
    read_only = False
    summary = "8 bit grey and RGB; written at quality 95, colour at full resolution (4:4:4)"

    def recognises(self, data: bytes) -> bool:
        """By the start marker and the first byte of the next."""
        return data.startswith(b"\xff\xd8\xff")

    def decode(self, data: bytes, limits: Limits) -> Image:
        """uint8; a helper behind it (a preview, a gain map) is left behind, several views are refused."""
        with codec_errors("JPEG"):
            segments, end = read_segments(data)
            _check_header(segments, limits)
            check_views(segments)
            samples = imagecodecs.jpeg8_decode(data[:end] + _END)
            if not is_arithmetic(segments):
                _check_complete(data[:end], samples, is_progressive=is_progressive(segments))
            pixels_HWC = samples.reshape(*samples.shape[:2], -1)
            entries = _entries(segments)
            if data[end:].strip(b"\0\xff\xd9") and any(name in data for name in _GAIN_MAPS):
                entries[GAIN_MAP_LEFT] = True
            return Image(pixels_HWC, Domain.of_integers("uint8"), Metadata("jpeg", entries))

    def check(self, image: Image) -> None:
        """Grey or RGB of 8 bits without alpha, within the largest side."""
        height, width, channels = image.size
        if channels not in (1, 3) or image.domain.dtype != "uint8" or image.alpha_HW is not None:
            raise refuse_pixels(
                image, "JPEG", "8 bit grey or RGB without alpha", "choose output_format png or tiff"
            )
        if max(height, width) > _LARGEST_SIDE:
            raise refuse_pixels(
                image, "JPEG", f"sides up to {_LARGEST_SIDE}", "choose output_format png or tiff"
            )

    def encode(self, image: Image) -> bytes:
        """Baseline JPEG, the metadata segments in front."""
        self.check(image)
        samples = image.pixels_HWC[:, :, 0] if image.size[2] == 1 else image.pixels_HWC
        encoded = imagecodecs.jpeg8_encode(
            np.ascontiguousarray(samples), level=self.quality, subsampling=self.subsampling
        )
        assert encoded[2:4] == b"\xff\xe0", "libjpeg puts its JFIF segment first"
        rest = encoded[4 + int.from_bytes(encoded[4:6], "big") :]
        entries = with_profile_of_colour(image.metadata.entries, image.size[2])
        segments = b"".join(segment.to_bytes() for segment in _metadata_segments(entries))
        return _START + segments + rest


def _check_header(segments: list[Segment], limits: Limits) -> None:
    precision, height, width, components = frame_header(segments)
    limits.check(height, width)
    if precision != 8:
        raise ImageError("UNSUPPORTED_DTYPE", f"JPEG of {precision} bits; convert it to a 16-bit PNG or TIFF")
    if components not in (1, 3):
        raise ImageError("UNSUPPORTED_COLOUR", f"JPEG of {components} components (CMYK?); convert it to RGB")


def _check_complete(data: bytes, samples: NDArray[np.uint8], *, is_progressive: bool) -> None:
    """Refuses a file that was cut short and closed with an end marker again.

    libjpeg then fills the rest with flat blocks, in a progressive file with coarse ones, and only warns.
    Decode once more with more data in front of the end marker: a complete image ignores them. Damage that
    leaves the length right, or that touches the last block only, does not show in a JPEG file. Nor does it
    with arithmetic coding, whose encoders leave out zeros at the end (T.81, section D.1.8).
    """
    last_block = samples[(samples.shape[0] - 1) // 8 * 8 :, (samples.shape[1] - 1) // 8 * 8 :]
    if not is_progressive and np.ptp(last_block.reshape(-1, *samples.shape[2:]), axis=0).any():
        return
    padded = imagecodecs.jpeg8_decode(data + bytes(range(1, 255)) * 64 + _END)
    if not np.array_equal(padded, samples):
        raise ImageError("TRUNCATED", "the pixel data of the JPEG file end early")


def _entries(segments: list[Segment]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for marker, payload in segments:
        if marker == APP0 and payload.startswith(JFIF_PREFIX) and len(payload) >= 12:
            entries["jpeg_density"] = payload[7:12]
        elif marker == APP1 and payload.startswith(EXIF_PREFIX):
            entries.setdefault(EXIF, payload[len(EXIF_PREFIX) :])
        elif marker == APP1 and payload.startswith(XMP_PREFIX):
            entries.setdefault(XMP, payload[len(XMP_PREFIX) :])
    if profile := icc_profile(segments):
        entries[ICC_PROFILE] = profile
    if others := tuple((s.marker, s.payload) for s in segments if _is_carried_raw(s)):
        entries["jpeg_segments"] = others
    return entries


def _is_carried_raw(segment: Segment) -> bool:
    """Comments, IPTC, the continuation of long XMP. Not: indices of offsets (MPF), signatures (C2PA)."""
    marker, payload = segment
    return marker in (COMMENT, APP13) or (marker == APP1 and payload.startswith(EXTENDED_XMP_PREFIX))


def _metadata_segments(entries: Any) -> list[Segment]:
    """JFIF first, as viewers expect; what is longer than a segment can be is left out."""
    density = entries.get("jpeg_density", _NO_DENSITY)
    segments = [Segment(APP0, JFIF_PREFIX + b"\1\1" + density + b"\0\0")]
    for prefix, name in ((EXIF_PREFIX, EXIF), (XMP_PREFIX, XMP)):
        if name in entries:
            segments.append(Segment(APP1, prefix + entries[name]))
    segments += [Segment(*other) for other in entries.get("jpeg_segments", ())]
    segments += icc_segments(entries.get(ICC_PROFILE, b""))
    return [segment for segment in segments if len(segment.payload) <= LARGEST_PAYLOAD]
