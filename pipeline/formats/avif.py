"""AVIF, 8-bit grey and RGB with or without alpha, through Pillow (AV1 Image File Format 1.1).

Ten and twelve bits are refused: Pillow would cut them to eight without a word. JPEG XL is no format here:
the permissively licensed codec at hand reads neither its colour profile nor its metadata.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from pipeline.errors import ImageError
from pipeline.formats.avif_boxes import GAIN_MAP, clean_aperture, code_points_at, properties
from pipeline.formats.avif_ends import check_needed, check_written
from pipeline.formats.base import (
    EXIF,
    GAIN_MAP_LEFT,
    ICC_PROFILE,
    XMP,
    Limits,
    check_opacity,
    codec_errors,
    refuse_pixels,
)
from pipeline.formats.colour import COLOUR, of_code_points, with_profile_of_colour
from pipeline.imaging.image import Domain, Image, Metadata

_LARGEST_SIDE = 16384
_EXIF_PREFIX = b"Exif\0\0"
_BRANDS = (b"avif", b"avis")
_SEQUENCE = b"avis"
_HIGH_DEPTH = 0x40
"""In the third byte of a codec's configuration: ten bits or twelve (AV1 in ISO base media files, 2.3.3)."""


@dataclass(frozen=True)
class Avif:
    """Written at full colour resolution (4:4:4); the same image gives the same bytes."""

    quality: int = 95
    """0..100, the scale of libavif."""
    speed: int = 8
    """0, slow and small, to 10."""

    name = "avif"
    extensions = (".avif",)
    lossless = False
    read_only = False
    summary = "8 bit grey, RGB and alpha; written at quality 95 (4:4:4), alpha within 1 of 255"

    def recognises(self, data: bytes) -> bool:
        """By the brands of the file type box."""
        return data[4:8] == b"ftyp" and any(brand in _BRANDS for brand in _brands(data))

    def decode(self, data: bytes, limits: Limits) -> Image:
        """uint8 grey or RGB; sequences and more than 8 bits are refused."""
        with codec_errors("AVIF"):
            _check_header(data, limits)
            check_written(data)
            with Pillow.open(io.BytesIO(data), formats=["AVIF"]) as picture:
                entries = _entries(picture.info) | _described(data)
                bands = [band for band in picture.getbands() if band != "A"]
                samples_HWC = _samples(picture)
            check_needed(data, samples_HWC, _decoded)
            samples_HWC = _seen(samples_HWC, data)
        has_alpha = len(bands) < samples_HWC.shape[2]
        return Image(
            pixels_HWC=np.ascontiguousarray(samples_HWC[:, :, : len(bands)]),
            domain=Domain.of_integers("uint8"),
            metadata=Metadata("avif", entries),
            alpha_HW=np.ascontiguousarray(samples_HWC[:, :, -1]) if has_alpha else None,
        )

    def check(self, image: Image) -> None:
        """Grey, RGB or RGB with alpha of 8 bits, within the largest side."""
        height, width, channels = image.size
        fits = channels == 3 or (channels == 1 and image.alpha_HW is None)
        if not fits or image.domain.dtype != "uint8" or max(height, width) > _LARGEST_SIDE:
            holds = f"8 bit grey, RGB and RGB with alpha with sides up to {_LARGEST_SIDE}"
            raise refuse_pixels(image, "AVIF", holds, "choose output_format png or tiff")
        check_opacity(image, "AVIF")

    def encode(self, image: Image) -> bytes:
        """With EXIF, colour profile and XMP; an orientation becomes a property of the file."""
        self.check(image)
        samples_HWC = image.samples
        samples_HWC = samples_HWC[:, :, 0] if samples_HWC.shape[2] == 1 else samples_HWC
        entries = image.metadata.entries
        colour = entries.get(COLOUR)
        if colour is None or colour.code_points is None:
            entries = with_profile_of_colour(entries, image.size[2])
        file = io.BytesIO()
        Pillow.fromarray(np.ascontiguousarray(samples_HWC)).save(
            file,
            "AVIF",
            quality=self.quality,
            speed=self.speed,
            subsampling="4:4:4",
            max_threads=1,  # the bytes depend on how the work is divided
            exif=_EXIF_PREFIX + entries[EXIF] if EXIF in entries else b"",
            icc_profile=entries.get(ICC_PROFILE, b""),
            xmp=entries.get(XMP, b""),
        )
        written = file.getvalue()
        if colour is None or colour.code_points is None or ICC_PROFILE in entries:
            return written
        at = code_points_at(written)
        assert at is not None, "libavif writes them where there is no profile"
        return written[:at] + struct.pack(">HH", *colour.code_points) + written[at + 4 :]


def _brands(data: bytes) -> Iterator[bytes]:
    size = min(int.from_bytes(data[:4], "big"), len(data))
    yield data[8:12]
    yield from (data[start : start + 4] for start in range(16, size - 3, 4))


def _check_header(data: bytes, limits: Limits) -> None:
    """Size and depth of every image in the file: the largest counts, so that no limit is dodged."""
    if data[8:12] == _SEQUENCE:
        raise ImageError("ANIMATED", "an AVIF sequence; split it into its frames")
    found = False
    for kind, first, last in properties(data):
        payload = data[first : min(last, first + 64)]
        if kind == b"ispe":
            width, height = (int.from_bytes(payload[at : at + 4], "big") for at in (4, 8))
            limits.check(height, width)
            found = True
        elif (kind == b"pixi" and any(depth != 8 for depth in payload[5 : 5 + payload[4]])) or (
            kind == b"av1C" and payload[2] & _HIGH_DEPTH
        ):  # not every writer says it in pixi
            cure = "convert it to a 16-bit PNG or TIFF"
            raise ImageError("UNSUPPORTED_DTYPE", f"AVIF of more than 8 bits; {cure}")
    if not found:
        raise ImageError("UNREADABLE", "the AVIF file holds no image")


def _decoded(data: bytes) -> NDArray[Any]:
    with Pillow.open(io.BytesIO(data), formats=["AVIF"]) as picture:
        return _samples(picture)


def _samples(picture: Pillow.Image) -> NDArray[Any]:
    return np.asarray(picture).reshape(picture.height, picture.width, -1)


def _entries(info: dict[Any, Any]) -> dict[str, Any]:
    found = {EXIF: info.get("exif"), ICC_PROFILE: info.get("icc_profile"), XMP: info.get("xmp")}
    entries = {name: bytes(value) for name, value in found.items() if value}
    if EXIF in entries:
        entries[EXIF] = entries[EXIF].removeprefix(_EXIF_PREFIX)
    return entries


def _described(data: bytes) -> dict[str, Any]:
    """What the container says and Pillow does not hand over."""
    entries: dict[str, Any] = {GAIN_MAP_LEFT: True} if GAIN_MAP in _brands(data) else {}
    at = code_points_at(data)
    colour = None if at is None else of_code_points(*struct.unpack_from(">HH", data, at))
    return entries if colour is None else {**entries, COLOUR: colour}


def _seen(samples_HWC: NDArray[Any], data: bytes) -> NDArray[Any]:
    """The image without what its clean aperture hides."""
    window = clean_aperture(data, *samples_HWC.shape[:2])
    if window is None:
        return samples_HWC
    top, left, height, width = window
    return samples_HWC[top : top + height, left : left + width]
