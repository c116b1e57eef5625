"""The formats, and reading by content: the first bytes decide, never the extension."""

from __future__ import annotations

from pipeline.errors import ImageError
from pipeline.formats.base import Format, Limits
from pipeline.formats.jpeg import Jpeg
from pipeline.formats.png import Png
from pipeline.formats.tiff import Tiff
from pipeline.formats.webp import WebP
from pipeline.image import Image

__all__ = ["FORMATS", "Format", "Limits", "decode", "encode", "format_of"]

FORMATS: dict[str, Format] = {"png": Png(), "jpeg": Jpeg(), "webp": WebP(), "tiff": Tiff()}
"""Every format, by the name that jobs and metadata use."""


def format_of(head: bytes) -> Format:
    """The format of an object that starts with these 16 bytes or more.

    Raises ``ImageError`` with ``EMPTY`` or ``UNREADABLE``.
    """
    if not head:
        raise ImageError("EMPTY", "the object has no bytes")
    for candidate in FORMATS.values():
        if candidate.recognises(head):
            return candidate
    raise ImageError(
        "UNREADABLE", f"none of the known formats: {', '.join(FORMATS)}; convert it to one of them"
    )


def decode(data: bytes, limits: Limits | None = None) -> Image:
    """Any known file as an image. Raises ``ImageError`` with a reason code and nothing else."""
    return format_of(data[:16]).decode(data, limits or Limits())


def encode(image: Image, format_name: str | None = None) -> bytes:
    """The image as a file of the named format, or of the one it came from.

    Raises ``ImageError("UNENCODABLE", ...)`` where the format cannot hold the pixels.
    """
    return FORMATS[format_name or image.metadata.format].encode(image)
