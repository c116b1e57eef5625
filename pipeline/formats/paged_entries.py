"""What a page or frame takes along of its file: all but what says of the file that it holds several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.formats.base import ALPHA_PLACE, ASSOCIATED_ALPHA, EXIF, ICC_PROFILE, XMP
from pipeline.formats.colour import COLOUR
from pipeline.formats.exif import read_exif, write_exif
from pipeline.formats.png import entries_of as png_entries
from pipeline.formats.png_chunks import SIGNATURE, carried, read_chunks
from pipeline.formats.tiff.tags import COLOUR_TAGS, DESCRIPTION, GRID, GRID_TAGS, PAGE_NUMBER
from pipeline.formats.webp import entries_of as webp_entries
from pipeline.formats.webp_ends import read_chunks as read_webp_chunks

_OF_PIXELS = (ICC_PROFILE, ASSOCIATED_ALPHA, ALPHA_PLACE, COLOUR, COLOUR_TAGS, XMP, "tiff_byte_order")
_OF_FRAMES = (ICC_PROFILE, COLOUR, EXIF, XMP)
_STACK = b"ImageJ="
"""How a description begins that counts the images of the file."""


def entries_of_page(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Of those of a page of a TIFF: without its number, without descriptions of all pages (OME, ImageJ)."""
    kept = {name: value for name, value in entries.items() if name in _OF_PIXELS}
    if tags := tuple(tag for tag in entries.get(GRID_TAGS, ()) if tag[0] != DESCRIPTION):
        kept |= {GRID_TAGS: tags, GRID: entries[GRID]}
    if EXIF in entries:
        order, directory = read_exif(entries[EXIF])
        own = tuple(
            tag
            for tag in directory.tags
            if tag.code != PAGE_NUMBER and not (tag.code == DESCRIPTION and tag.value.startswith(_STACK))
        )
        directory = replace(directory, tags=own)
        if not directory.is_empty:
            kept[EXIF] = write_exif(directory, order)
    return kept


def entries_of_animation(data: bytes, profile: bytes | None) -> dict[str, Any]:
    """What an animated PNG, WebP or GIF says of all its frames; ``profile`` as Pillow found it."""
    found: dict[str, Any] = {ICC_PROFILE: profile} if profile else {}
    if data.startswith(SIGNATURE):
        found |= png_entries(carried(read_chunks(data), same_samples=False))
    elif data.startswith(b"RIFF"):
        found |= webp_entries(read_webp_chunks(data))
    return {name: value for name, value in found.items() if name in _OF_FRAMES}
