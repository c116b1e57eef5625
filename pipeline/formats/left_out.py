"""What an image loses in the format that it is stored in, for its row."""

from __future__ import annotations

from pipeline.formats.avif import Avif
from pipeline.formats.base import GAIN_MAP_LEFT
from pipeline.formats.colour import unsaid_colour
from pipeline.formats.exif import UPRIGHT
from pipeline.formats.geotiff.format import RASTER_HEADER, GeoTiff
from pipeline.formats.geotiff.header import RasterHeader
from pipeline.formats.png import Png
from pipeline.formats.tiff.format import Tiff
from pipeline.formats.tiff.tags import COLOUR_TAGS
from pipeline.imaging.image import Image

_WITH_CODE_POINTS = (Png.name, Avif.name)


def left_out(image: Image, name: str) -> str | None:
    """In words, with the format that would keep it; ``None`` where nothing is lost."""
    entries, found = image.metadata.entries, []
    header = entries.get(RASTER_HEADER)
    if name != GeoTiff.name and isinstance(header, RasterHeader) and header.has_georeference:
        found.append(f"{name} leaves out the georeference; output_format geotiff keeps it")
    if name != GeoTiff.name and isinstance(header, RasterHeader) and header.orientation != UPRIGHT:
        found.append(f"{name} leaves out the orientation; output_format geotiff keeps it")
    is_own = name == image.metadata.format or (name == GeoTiff.name and isinstance(header, RasterHeader))
    if not is_own and image.valid_HW is not None and image.alpha_HW is None:
        found.append(f"{name} leaves out which pixels hold no data")
    if not is_own and image.domain.scales:
        found.append(f"{name} leaves out the scale from stored to physical values")
    colour = unsaid_colour(entries, has_code_points=name in _WITH_CODE_POINTS)
    if colour and not (name == Tiff.name and COLOUR_TAGS in entries):
        found.append(f"{name} leaves out what the source says of its colours ({colour})")
    if entries.get(GAIN_MAP_LEFT):
        found.append("the gain map beside the source is left out: this is its base image")
    return "; ".join(found) or None
