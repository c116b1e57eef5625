"""PNG, 8 and 16 bits (W3C PNG specification, third edition)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Any

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
from pipeline.formats.colour import COLOUR, with_profile_of_colour
from pipeline.formats.png_chunks import (
    SIGNATURE,
    Chunk,
    carried,
    code_points_chunk,
    colour_of,
    icc_chunk,
    icc_profile,
    join_chunks,
    read_chunks,
    xmp_chunk,
    xmp_packet,
)
from pipeline.formats.png_grid import GRID_BOUND, on_grid, physical_scale
from pipeline.imaging.image import Domain, Image, Metadata

_COLOUR_TYPES = {(1, False): 0, (3, False): 2, (1, True): 4, (3, True): 6}
_PALETTE = 3
_SIZE = "png_size"
"""Metadata entry: height and width of the source, where some of its chunks hold of that alone."""
_LARGEST_SIDE = 2**31 - 1
_LARGEST_CHUNK = 2**30


@dataclass(frozen=True)
class Png:
    """Grey or RGB, with or without alpha; palettes and 1, 2 and 4 bits are expanded exactly to 8 bits."""

    level: int = 1
    """Effort of libdeflate, 0..12."""

    name = "png"
    extensions = (".png",)
    lossless = True
    read_only = False
    summary = "8 and 16 bit grey, RGB, alpha; palette and 1-4 bit are read as 8 bit; lossless"

    def recognises(self, data: bytes) -> bool:
        """By the signature."""
        return data.startswith(SIGNATURE)

    def decode(self, data: bytes, limits: Limits) -> Image:
        """uint8 or uint16 by the header's bit depth; animations of several frames are refused."""
        with codec_errors("PNG"):
            chunks = _checked_chunks(data, limits)
            _check_palette(chunks)
            samples = imagecodecs.png_decode(join_chunks(chunk for chunk in chunks if _decides_pixels(chunk)))
            return _image(samples, chunks)

    def check(self, image: Image) -> None:
        """Grey or RGB of 8 or 16 bits."""
        height, width, channels = image.size
        if (
            channels not in (1, 3)
            or image.domain.dtype not in ("uint8", "uint16")
            or max(height, width) > _LARGEST_SIDE
        ):
            raise refuse_pixels(image, "PNG", "8 or 16 bit grey or RGB", "choose output_format tiff")
        check_opacity(image, "PNG")

    def encode(self, image: Image) -> bytes:
        """Up-filtered rows, libdeflate: four times as fast as Pillow at level 1, and no larger."""
        self.check(image)
        samples_HWC = image.samples
        height, width, channels = size = image.size
        colour_type = _COLOUR_TYPES[channels, image.alpha_HW is not None]
        bit_depth = 8 * samples_HWC.dtype.itemsize
        header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
        rows: Any = _filtered_rows(samples_HWC)  # the codec takes any buffer, its stub only bytes
        compressed = bytes(imagecodecs.deflate_encode(rows, level=self.level))
        pieces = range(0, len(compressed), _LARGEST_CHUNK)
        return join_chunks(
            [
                Chunk(b"IHDR", header),
                *_metadata_chunks(image.metadata, size),
                *(Chunk(b"IDAT", compressed[start : start + _LARGEST_CHUNK]) for start in pieces),
                Chunk(b"IEND", b""),
            ]
        )


def _checked_chunks(data: bytes, limits: Limits) -> list[Chunk]:
    chunks: list[Chunk] = []
    for chunk in read_chunks(data):
        if not chunks:
            width, height = struct.unpack_from(">II", chunk.data if chunk.kind == b"IHDR" else b"")
            limits.check(height, width)
        if chunk.kind == b"acTL" and struct.unpack_from(">I", chunk.data)[0] > 1:
            raise ImageError("ANIMATED", 'an animated PNG; take each frame as an image: store = "pages"')
        chunks.append(chunk)
    return chunks


def _check_palette(chunks: list[Chunk]) -> None:
    """``ImageError("UNREADABLE")`` where a pixel has no colour in the palette: libpng makes black of it."""
    header = chunks[0].data
    depth, kind = header[8:10]
    colours = next((len(chunk.data) // 3 for chunk in chunks if chunk.kind == b"PLTE"), 0)
    if kind != _PALETTE or colours >= 1 << depth:
        return
    grey = Chunk(b"IHDR", header[:9] + b"\0" + header[10:])
    coded = [chunk for chunk in chunks[1:] if chunk.is_critical and chunk.kind != b"PLTE"]
    levels = imagecodecs.png_decode(join_chunks([grey, *coded]))
    if int(levels.max()) // (255 // ((1 << depth) - 1)) >= colours:
        raise ImageError("UNREADABLE", "a pixel of the PNG file has no colour in its palette; write it anew")


def _decides_pixels(chunk: Chunk) -> bool:
    return chunk.is_critical or chunk.kind == b"tRNS"


def _image(samples: NDArray[Any], chunks: list[Chunk]) -> Image:
    samples_HWC = samples.reshape(*samples.shape[:2], -1)
    has_alpha = samples_HWC.shape[2] in (2, 4)
    bit_depth, colour_type = chunks[0].data[8:10]
    has_transparent_colour = any(chunk.kind == b"tRNS" for chunk in chunks)
    is_palette = colour_type == _PALETTE
    same_samples = not is_palette and bit_depth >= 8 and not has_transparent_colour
    kept = carried(chunks, same_samples=same_samples, is_palette=is_palette)
    entries = entries_of(kept)
    if any(chunk.kind in GRID_BOUND for chunk in kept):
        entries[_SIZE] = samples_HWC.shape[:2]
    return Image(
        pixels_HWC=np.ascontiguousarray(samples_HWC[:, :, :-1]) if has_alpha else samples_HWC,
        domain=_domain(samples_HWC.dtype.name, kept),
        metadata=Metadata("png", entries),
        alpha_HW=np.ascontiguousarray(samples_HWC[:, :, -1]) if has_alpha else None,
    )


def _domain(dtype: str, kept: tuple[Chunk, ...]) -> Domain:
    domain = Domain.of_integers(dtype)
    scale = physical_scale(kept, int(domain.high))
    if scale is None:
        return domain
    unit, step, zero = scale
    return replace(domain, unit=unit, scales=(step,), offsets=(zero,))


def entries_of(kept: tuple[Chunk, ...]) -> dict[str, Any]:
    """The raw chunks for PNG's own use, and what other formats know from them under the common names."""
    entries: dict[str, Any] = {"png_chunks": tuple(tuple(chunk) for chunk in kept)} if kept else {}
    for chunk in kept:
        if chunk.kind == b"eXIf":
            entries[EXIF] = chunk.data
        elif chunk.kind == b"iCCP" and (profile := icc_profile(chunk)):
            entries[ICC_PROFILE] = profile
        elif chunk.kind == b"iTXt" and (packet := xmp_packet(chunk)):
            entries[XMP] = packet
    if colour := colour_of(kept):
        entries[COLOUR] = colour
    return entries


def _metadata_chunks(metadata: Metadata, size: tuple[int, int, int]) -> list[Chunk]:
    entries, channels = metadata.entries, size[2]
    if "png_chunks" in entries:
        chunks = [Chunk(*chunk) for chunk in entries["png_chunks"]]
        return on_grid(chunks, entries.get(_SIZE, size[:2]), size[:2])
    colour = entries.get(COLOUR)
    if colour is None or colour.code_points is None:
        entries = with_profile_of_colour(entries, channels)
    chunks = [icc_chunk(entries[ICC_PROFILE])] if ICC_PROFILE in entries else []
    if not chunks and colour is not None and colour.code_points is not None:
        chunks = [code_points_chunk(*colour.code_points)]
    chunks += [Chunk(b"eXIf", entries[EXIF])] if EXIF in entries else []
    return chunks + ([xmp_chunk(entries[XMP])] if XMP in entries else [])


def _filtered_rows(samples_HWC: NDArray[Any]) -> NDArray[np.uint8]:
    """Rows as differences to the row above (filter type 2), the type in front of each."""
    height = samples_HWC.shape[0]
    big_endian = np.ascontiguousarray(samples_HWC, dtype=samples_HWC.dtype.newbyteorder(">"))
    rows = big_endian.view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered
