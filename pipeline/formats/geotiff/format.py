"""GeoTIFF: rasters that lie somewhere on the ground; written as cloud-optimised GeoTIFF (COG).

OGC GeoTIFF 1.1 (19-008) and Cloud Optimized GeoTIFF 1.0 (21-026), through GDAL (extra ``geo``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.base import ALPHA_PLACE, ASSOCIATED_ALPHA, EXIF, Limits, codec_errors, refuse_pixels
from pipeline.formats.colour import with_profile_of_colour
from pipeline.formats.exif import ORIENTATION, UPRIGHT, orientation_of
from pipeline.formats.geotiff.directory import EXTRA_SAMPLES, GDAL_NODATA, Directory, read_directory
from pipeline.formats.geotiff.gdal import gdal, opened
from pipeline.formats.geotiff.header import BLUE, GREEN, RED, Band, RasterHeader
from pipeline.formats.geotiff.limits import DTYPES, check_directory, check_segment_data
from pipeline.formats.geotiff.orientation import check_unit
from pipeline.formats.geotiff.profile import profile_entries, with_profile
from pipeline.formats.geotiff.reading import check_raster, read_header, read_samples, valid_pixels
from pipeline.formats.geotiff.scale import scaled, scaled_mask
from pipeline.formats.geotiff.writing import write_cog
from pipeline.formats.grid import Grid
from pipeline.formats.nodata import beside_nodata, is_nodata
from pipeline.formats.tiff.microscopy import only_states_the_shape
from pipeline.imaging.image import Image, Metadata, Provenance

RASTER_HEADER = "geotiff_header"
"""Metadata entry: the ``RasterHeader``."""
_GREY, _ALPHA = 1, 6
_ASSOCIATED = 1
"""What ExtraSamples calls an opacity that the colours are multiplied by."""


@dataclass(frozen=True)
class GeoTiff:
    """N bands with georeference, nodata, mask, scale and offset, units and tags."""

    level: int = 1
    """Effort of Deflate, 1..9, after differencing along rows (predictor 2, for floats 3).

    On a six-band Landsat-7 scene 6 takes 1.7 times as long as 1 and makes the file 1 % smaller."""

    name = "geotiff"
    extensions = (".tif", ".tiff")
    lossless = True
    read_only = False
    summary = (
        "8, 16 and signed 16 bit, 32 bit float, any number of bands; written as COG, lossless (extra geo)"
    )

    def recognises(self, data: bytes) -> bool:
        """A TIFF with a georeference, GDAL's tags, or signed or floating-point samples."""
        directory = read_directory(data)
        return directory is not None and directory.is_raster

    def decode(self, data: bytes, limits: Limits) -> Image:
        """Samples as stored; physical scale, unit, and where there is no data, by the header."""
        directory = read_directory(data)
        assert directory is not None, "recognises() has read it"
        check_directory(directory, limits, len(data))
        check_segment_data(directory, data)
        gdal()
        with codec_errors("GeoTIFF"), opened(data, "GTiff") as raster:
            check_raster(raster, limits)
            return image_of(read_samples(raster), header_of(raster, directory), self.name)

    def check(self, image: Image) -> None:
        """The bands of its source, on a grid that fits the source's; and GDAL is there."""
        gdal("UNENCODABLE")
        header = _header_of(image)
        if image.domain.dtype not in DTYPES or len(header.channels) != image.size[2]:
            raise refuse_pixels(image, "GeoTIFF", _holds(header), "use a restorer that keeps the bands")
        check_unit(header)
        Grid.between((header.height, header.width), image.size[:2])

    def encode(self, image: Image) -> bytes:
        """A COG whose corners lie where the source's did, whatever the size."""
        self.check(image)
        header = _header_of(image)
        grid = Grid.between((header.height, header.width), image.size[:2])
        mask_HW = header.own_mask()
        if mask_HW is not None:
            mask_HW = scaled_mask(mask_HW, grid)
        samples_HWC = all_bands(image, header)
        return write_cog(
            samples_HWC, mask_HW, signed(scaled(header, grid), image.metadata.provenance), self.level
        )


def image_of(samples_HWC: NDArray[Any], header: RasterHeader, format_name: str) -> Image:
    """The image of a raster's samples; raises ``ImageError("ALL_NODATA", ...)``."""
    alpha_HW = None
    multiplied = {ASSOCIATED_ALPHA: True} if header.premultiplied else {}
    if header.alpha is not None:
        alpha_HW = np.ascontiguousarray(samples_HWC[:, :, header.alpha])
        samples_HWC = np.delete(samples_HWC, header.alpha, axis=2)
    return Image(
        pixels_HWC=samples_HWC,
        domain=header.domain(samples_HWC.dtype.name),
        metadata=Metadata(format_name, {RASTER_HEADER: header, **profile_entries(header), **multiplied}),
        valid_HW=valid_pixels(samples_HWC, alpha_HW, header),
        alpha_HW=alpha_HW,
    )


def apart_from_nodata(image: Image, header: RasterHeader) -> NDArray[Any]:
    """The pixels, valid ones moved just beside the value that means no data where they are taken for it."""
    nodata = header.nodata_value(image.domain.dtype)
    if nodata is None or nodata != nodata:
        return image.pixels_HWC
    hit_HWC = is_nodata(image.pixels_HWC, nodata)
    if image.valid_HW is not None:
        hit_HWC &= image.valid_HW[:, :, None]
    if not hit_HWC.any():
        return image.pixels_HWC
    return np.where(hit_HWC, beside_nodata(nodata, image.domain.storable), image.pixels_HWC)


def header_of(raster: Any, directory: Directory, mask: bool = True) -> RasterHeader:
    """The header of an open raster, with or without its mask. Raises ``ImageError("BAD_GEOREF", ...)``."""
    if directory.names_coordinate_system and not raster.crs and not raster.gcps[1]:
        raise ImageError("BAD_GEOREF", "the raster names a coordinate system that GDAL cannot make sense of")
    header = read_header(
        raster,
        nodata=directory.text(GDAL_NODATA),
        has_transform=directory.has_transform and not raster.gcps[0],
        coordinate_epoch=directory.coordinate_epoch,
        mask=mask,
    )
    # rasterio leaves out texts that are not UTF-8, which many are.
    tags = {**directory.descriptions(), **header.tags.get("", {})}
    if only_states_the_shape(tags.get("TIFFTAG_IMAGEDESCRIPTION", "")):
        del tags["TIFFTAG_IMAGEDESCRIPTION"]
    orientation = directory.integers(ORIENTATION, (UPRIGHT,))[0]
    multiplied = header.alpha is not None and _ASSOCIATED in directory.integers(EXTRA_SAMPLES)
    header = replace(
        header,
        orientation=orientation if 1 <= orientation <= 8 else UPRIGHT,
        premultiplied=multiplied,
    )
    return replace(header, tags={**header.tags, "": tags}) if tags or "" in header.tags else header


def _header_of(image: Image) -> RasterHeader:
    """The header that came with the image; a plain one for what was no raster."""
    known = image.metadata.entries.get(RASTER_HEADER)
    if isinstance(known, RasterHeader):
        return known if image.alpha_HW is not None else _without_alpha(known)
    height, width, channels = image.size
    colours = [RED, GREEN, BLUE] if channels == 3 else [_GREY]
    kinds = (colours + [0] * channels)[:channels]
    alpha = None if image.alpha_HW is None else image.metadata.entries.get(ALPHA_PLACE, channels)
    if alpha is not None:
        kinds.insert(alpha, _ALPHA)
    bands = tuple(Band(interpretation=kind) for kind in kinds)
    orientation = orientation_of(image.metadata.entries.get(EXIF, b""))
    multiplied = alpha is not None and bool(image.metadata.entries.get(ASSOCIATED_ALPHA))
    plain = RasterHeader(height, width, bands, alpha, orientation=orientation, premultiplied=multiplied)
    return with_profile(plain, with_profile_of_colour(image.metadata.entries, channels))


def _without_alpha(header: RasterHeader) -> RasterHeader:
    return replace(header, bands=header.channels, alpha=None, premultiplied=False)


def all_bands(image: Image, header: RasterHeader) -> NDArray[Any]:
    """Samples as they are stored, HWC: opacity at its place, valid pixels never the value of no data."""
    pixels_HWC = apart_from_nodata(image, header)
    if image.alpha_HW is None or header.alpha is None:
        return pixels_HWC
    return np.insert(pixels_HWC, header.alpha, image.alpha_HW, axis=2)


def _holds(header: RasterHeader) -> str:
    return f"the {len(header.channels)} bands of its source in {', '.join(DTYPES)}"


def signed(header: RasterHeader, provenance: Provenance | None) -> RasterHeader:
    """The header with the tags that say how the pixels came to be."""
    if provenance is None:
        return header
    tags = {
        "RESTORE_MODEL": provenance.restorer,
        "RESTORE_SHA256": provenance.restorer_sha256,
        "RESTORE_VERSION": provenance.code_version,
        "RESTORE_CONFIG_SHA256": provenance.recipe_id,
        "RESTORE_SOURCE_SHA256": provenance.source_sha256,
    }
    given = {name: value for name, value in tags.items() if value}
    return replace(header, tags={**header.tags, "": {**header.tags.get("", {}), **given}})
