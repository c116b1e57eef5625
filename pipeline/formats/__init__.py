"""The formats, and reading by content: the bytes decide, never the extension."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from models.plugins import Parts
from pipeline.errors import ImageError
from pipeline.formats.avif import Avif
from pipeline.formats.base import Format, Limits
from pipeline.formats.bmp import Bmp
from pipeline.formats.dicom.format import Dicom
from pipeline.formats.foreign import description_of
from pipeline.formats.geotiff.format import GeoTiff
from pipeline.formats.gif import Gif
from pipeline.formats.jpeg import Jpeg
from pipeline.formats.nifti.format import Nifti
from pipeline.formats.png import Png
from pipeline.formats.raster import Raster
from pipeline.formats.tiff.format import Tiff
from pipeline.formats.webp import WebP
from pipeline.formats.zarr_block import ZarrBlock
from pipeline.imaging.image import Image
from pipeline.imaging.nodata import without_hidden

# Pillow warns of what it finds odd, with values of the file in the text: no file contents in our logs.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)

__all__ = ["FORMATS", "Format", "Limits", "decode", "encode", "format_of"]

_FORMATS: dict[str, Format] = {
    "png": Png(),
    "jpeg": Jpeg(),
    "webp": WebP(),
    "avif": Avif(),
    "gif": Gif(),
    "bmp": Bmp(),
    "dicom": Dicom(),
    "nifti": Nifti(),
    "geotiff": GeoTiff(),
    "raster": Raster(),
    "tiff": Tiff(),
    "zarr": ZarrBlock(),
}

_OWED = ("extensions", "lossless", "read_only", "summary", "recognises", "decode", "check", "encode")


def _accepted(name: str, value: Any) -> Format:
    format = value() if isinstance(value, type) else value
    if missing := [each for each in _OWED if not hasattr(format, each)]:
        raise TypeError(f"it is {value!r}, no format: it lacks {', '.join(missing)}")
    if format.name != name:
        raise ValueError(f'it calls itself "{format.name}"; give both the same name')
    accepted: Format = format
    return accepted


FORMATS: Parts[Format] = Parts("formats", _FORMATS, _accepted, by_address=False)
"""Every format, by the name that jobs and metadata use. Those of installed packages come last, so that no
image that was read without them is read in another way."""


def format_of(data: bytes) -> Format:
    """The first of ``FORMATS`` that recognises the object: special kinds stand before plain ones.

    Raises ``ImageError`` with ``EMPTY`` or ``UNREADABLE``.
    """
    if not data:
        raise ImageError("EMPTY", "the object has no bytes")
    for candidate in FORMATS.values():
        if candidate.recognises(data):
            return candidate
    if known := description_of(data):
        raise ImageError("UNREADABLE", known)
    raise ImageError(
        "UNREADABLE", f"none of the known formats: {', '.join(FORMATS)}; convert it to one of them"
    )


def decode(data: bytes, limits: Limits | None = None) -> Image:
    """Any known file as an image. Raises ``ImageError`` with a reason code and nothing else.

    What is wholly transparent holds no data, whatever colour lies beneath.
    """
    return without_hidden(format_of(data).decode(data, limits or Limits()))


def encode(image: Image, format_name: str | None = None) -> bytes:
    """The image as a file of the named format, or of the one it came from.

    Raises ``ImageError("UNENCODABLE", ...)`` where the format cannot hold the pixels.
    """
    return FORMATS[format_name or image.metadata.format].encode(image)
