"""Rasters that GDAL reads and that go out as GeoTIFF: JPEG 2000 and NITF."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from pipeline.errors import ImageError
from pipeline.formats.base import ICC_PROFILE, Limits, codec_errors, refuse_pixels
from pipeline.formats.completeness import ends_with_marker
from pipeline.formats.geotiff.directory import Bytes
from pipeline.formats.geotiff.format import image_of
from pipeline.formats.geotiff.gdal import gdal, opened
from pipeline.formats.geotiff.header import RasterHeader
from pipeline.formats.geotiff.profile import with_profile
from pipeline.formats.geotiff.reading import check_raster, read_header, read_samples
from pipeline.formats.jpeg2000_boxes import places_of_codestreams, profile_of
from pipeline.formats.nitf_segments import coded_images
from pipeline.formats.tiff.segments import ended_early
from pipeline.imaging.image import Image

_JPEG2000, _NITF = "JP2OpenJPEG", "NITF"
_END_BYTES = 1 << 16
"""Looked at for the end mark of coded data, behind which there may be padding."""
_DRIVERS = {
    b"\0\0\0\x0cjP  \r\n\x87\n": _JPEG2000,
    b"\xff\x4f\xff\x51": _JPEG2000,
    b"NITF02.10": _NITF,
    b"NITF02.00": _NITF,
    b"NSIF01.00": _NITF,
}
"""First bytes -> the one driver that may read the file."""
MAGIC_BYTES = max(map(len, _DRIVERS))
"""How many bytes of a file that name its driver."""


@dataclass(frozen=True)
class Raster:
    """Read only: its images are written as ``geotiff``, with the same header."""

    name = "raster"
    extensions = (".jp2", ".j2k", ".ntf", ".nitf")
    lossless = True
    read_only = True
    summary = "JPEG 2000, NITF: read; written with output_format geotiff (extra geo)"

    def recognises(self, data: bytes) -> bool:
        """By its first bytes."""
        return driver_of(data) is not None

    def decode(self, data: bytes, limits: Limits) -> Image:
        """Samples as stored; physical scale, unit, and where there is no data, by the header."""
        driver = driver_of(data)
        assert driver is not None, "recognises() has seen it"
        gdal()
        profile = check_described(data)
        with codec_errors(driver), opened(data, driver) as raster:
            check_raster(raster, limits)
            return image_of(read_samples(raster), header_of(raster, profile), self.name)

    def check(self, image: Image) -> NoReturn:
        """Refuses: a GeoTIFF under the name of a JPEG 2000 file would not be found."""
        raise refuse_pixels(
            image, "raster", "JPEG 2000 and NITF, which are only read", "choose output_format geotiff"
        )

    def encode(self, image: Image) -> bytes:
        """Refuses, as ``check``."""
        self.check(image)


def driver_of(data: bytes) -> str | None:
    """GDAL's driver for an object, by its first bytes; ``None`` where it is none of these rasters."""
    return next((driver for magic, driver in _DRIVERS.items() if data.startswith(magic)), None)


def check_described(data: Bytes) -> bytes | None:
    """The colour profile that GDAL does not hand over; ``ImageError`` for what it would not refuse either."""
    driver = driver_of(data[:MAGIC_BYTES])
    if not all(_is_whole(data, *each) for each in _coded(data, driver)):
        raise ended_early()
    return profile_of(data) if driver == _JPEG2000 else None


def _coded(data: Bytes, driver: str | None) -> Iterator[tuple[int, int]]:
    """First and last position of every image of JPEG or JPEG 2000."""
    if driver == _NITF:
        yield from coded_images(data)
    elif driver == _JPEG2000:
        yield from places_of_codestreams(data)


def _is_whole(data: Bytes, first: int, last: int) -> bool:
    return ends_with_marker(data[max(first, last - _END_BYTES) : last])


def header_of(raster: Any, profile: bytes | None = None, mask: bool = True) -> RasterHeader:
    """The header of an open raster, with or without its mask; ``profile``: of its colours.

    Raises ``ImageError`` with ``BAD_GEOREF``, or ``UNENCODABLE`` where a GeoTIFF cannot say the same.
    """
    values = {"nan" if math.isnan(each) else repr(each) for each in raster.nodatavals if each is not None}
    if len(values) > 1 or (values and None in raster.nodatavals):
        raise ImageError(
            "UNENCODABLE",
            "bands with different nodata values, which GeoTIFF cannot hold; give them one with "
            "gdal_translate -a_nodata",
        )
    header = read_header(
        raster,
        nodata=values.pop() if values else None,
        has_transform=not raster.transform.is_identity and not raster.gcps[0],
        mask=mask,
    )
    return header if profile is None else with_profile(header, {ICC_PROFILE: profile})
