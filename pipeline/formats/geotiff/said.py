"""What a catalogue says of a raster's bands, where the file does not say it: its own word goes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.errors import ImageError
from pipeline.formats.geotiff.format import RASTER_HEADER
from pipeline.formats.geotiff.header import Band, RasterHeader
from pipeline.formats.geotiff.reading import valid_pixels
from pipeline.imaging.image import Image
from pipeline.imaging.said_band import SaidBand


def for_bands(said: Sequence[SaidBand], count: int, others: int = 0) -> tuple[SaidBand, ...]:
    """One for each of ``count`` bands, of which ``others`` (the opacity) may be left out.

    ``ImageError("BAD_ITEM")`` where more or fewer are described, and not all alike.
    """
    if len(set(said)) == 1:
        return (said[0],) * count
    if len(said) in (count, count + others):
        return tuple(said[:count])
    raise ImageError(
        "BAD_ITEM",
        f"it describes {len(said)} bands of a file of {count + others}; correct bands, or leave it out",
    )


def nodata_of(said: Sequence[SaidBand]) -> str | None:
    """The one value that means no data; ``ImageError("UNENCODABLE")`` where they differ."""
    values = {each.nodata for each in said}
    if len(values) > 1:
        raise ImageError(
            "UNENCODABLE",
            "the item says different values of no data of the bands, which GeoTIFF cannot hold; "
            "give the bands one, or restore them one by one",
        )
    return values.pop() or None


def with_said(header: RasterHeader, said: Sequence[SaidBand]) -> RasterHeader:
    """The header, with what it does not say itself; the same one where nothing is added.

    Raises as ``for_bands`` and ``nodata_of``.
    """
    if not any(each != SaidBand() for each in said):
        return header
    channels = header.channels
    bands = for_bands(said, len(channels), len(header.bands) - len(channels))
    told = replace(header, nodata=nodata_of(bands) if header.nodata is None else header.nodata)
    own = iter(_told(channels, bands))
    return replace(
        told, bands=tuple(each if at == header.alpha else next(own) for at, each in enumerate(header.bands))
    )


def image_with_said(image: Image, said: Sequence[SaidBand]) -> Image:
    """The raster, its numbers and holes as it is said; anything else as it is. Raises as ``with_said``, and
    ``ALL_NODATA``."""
    header = image.metadata.entries.get(RASTER_HEADER)
    told = with_said(header, said) if isinstance(header, RasterHeader) else header
    if not isinstance(told, RasterHeader) or told == header:
        return image
    return replace(
        image,
        domain=told.domain(image.domain.dtype),
        metadata=replace(image.metadata, entries={**image.metadata.entries, RASTER_HEADER: told}),
        valid_HW=valid_pixels(image.pixels_HWC, image.alpha_HW, told),
    )


def _told(own: Sequence[Band], said: Sequence[SaidBand]) -> list[Band]:
    """A scale of the file's is one of all its bands: 1 is its word too, beside another one."""
    has_scale = any((band.scale, band.offset) != (1.0, 0.0) for band in own)
    return [
        replace(
            band,
            unit=band.unit or its.unit,
            scale=band.scale if has_scale else its.scale,
            offset=band.offset if has_scale else its.offset,
        )
        for band, its in zip(own, said, strict=True)
    ]
