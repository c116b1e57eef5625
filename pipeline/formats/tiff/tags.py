"""The metadata of a TIFF file: tags that describe (kept as EXIF), and tags that hang on the pixel grid."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import tifffile

from pipeline.errors import ImageError
from pipeline.formats.base import EXIF, ICC_PROFILE, XMP
from pipeline.formats.colour import COLOUR, Colour, Primaries, of_gamma
from pipeline.formats.exif import (
    EXIF_POINTER,
    GPS_POINTER,
    ByteOrder,
    Directory,
    Tag,
    is_storable,
    read_directory,
    read_exif,
    with_codes,
    write_directory,
    write_exif,
)
from pipeline.formats.tiff.microscopy import IMAGEJ, factor_of, ome_on

DESCRIPTION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, XMP_TAG, ICC_TAG = 270, 282, 283, 296, 700, 34675
PAGE_NUMBER = 297
DESCRIPTIVE = frozenset(
    {269, DESCRIPTION, 271, 272, 274, X_RESOLUTION, Y_RESOLUTION, 285, RESOLUTION_UNIT, 305, 306, 315, 316}
    | {286, 287, PAGE_NUMBER, 18246, 18249, 33432, 33723, 34377}
)
"""Document, description, maker, model, orientation, resolution, page, software, date, artist, host, place on
the page, its number, rating, copyright, IPTC, Photoshop resources."""
WHITE_POINT, PRIMARIES, TRANSFER_FUNCTION = 318, 319, 301
COLORIMETRIC = frozenset({WHITE_POINT, PRIMARIES, TRANSFER_FUNCTION})
COLOUR_TAGS = "tiff_colour_tags"
"""Metadata entry: these tags as they are, for a TIFF of the same samples."""
GRID_TAGS, GRID = "tiff_grid_tags", "tiff_grid"
"""Metadata entries: the tags that hang on the pixel grid, and its height and width."""
CALIBRATED = "tiff_calibrated"
"""Metadata entry: height and width of an image whose resolution is a measure of its pixels: ImageJ's."""
_RATIONALS = {5: "I", 10: "i"}
_GAMMA = 2.2
"""Of numbers whose file gives primaries and no TransferFunction (TIFF 6.0, section 20)."""
_GEOREFERENCE = frozenset({33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 50844})


def read_entries(page: tifffile.TiffPage, data: bytes) -> dict[str, Any]:
    """EXIF (description, resolution, Exif and GPS directories), ICC, XMP, and the tags bound to the grid."""
    order = page.parent.byteorder
    tags = _raw_tags(page, data)
    bound = with_codes(tags.values(), _GEOREFERENCE | ({DESCRIPTION} if page.is_ome else frozenset()))
    entries: dict[str, Any] = {"tiff_byte_order": order}
    if bound:
        entries[GRID_TAGS] = tuple(tuple(tag) for tag in bound)
        entries[GRID] = (page.imagelength, page.imagewidth)
    if str(page.description).startswith(IMAGEJ):
        entries[CALIBRATED] = (page.imagelength, page.imagewidth)
    directory = Directory(_descriptive(tags, order, page), _children(data, page))
    if not directory.is_empty:
        entries[EXIF] = write_exif(directory, order)
    for name, code in ((XMP, XMP_TAG), (ICC_PROFILE, ICC_TAG)):
        if code in tags:
            entries[name] = tags[code].value
    return entries | _colour(tags, order)


def _colour(tags: Mapping[int, Tag], order: ByteOrder) -> dict[str, Any]:
    """The tags as they are, for TIFF itself, and what they mean, for other formats."""
    found = with_codes(tags.values(), COLORIMETRIC)
    if not found:
        return {}
    entries: dict[str, Any] = {COLOUR_TAGS: tuple(tuple(tag) for tag in found)}
    if all(tags[code].kind == 5 for code in (WHITE_POINT, PRIMARIES) if code in tags):
        numbers = [_rationals(tags[code], order) for code in (WHITE_POINT, PRIMARIES) if code in tags]
        if [len(each) for each in numbers] == [2, 6] and min(min(each) for each in numbers) > 1e-4:
            primaries: Primaries = (*numbers[0], *numbers[1])  # type: ignore[assignment]
            colour = of_gamma(_GAMMA, primaries)
            assert colour is not None, "2.2 is not the curve of sRGB"
            is_default = TRANSFER_FUNCTION not in tags
            entries[COLOUR] = colour if is_default else Colour(None, primaries, None)
    return entries


def _rationals(tag: Tag, order: ByteOrder) -> list[float]:
    numbers = struct.unpack(f"{order}{2 * tag.number}I", tag.value)
    return [over / under if under else 0.0 for over, under in zip(numbers[::2], numbers[1::2], strict=True)]


def _raw_tags(page: tifffile.TiffPage, data: bytes) -> dict[int, Tag]:
    tags: dict[int, Tag] = {}
    for tag in page.tags:
        end = tag.valueoffset + tag.valuebytecount
        if end > len(data):
            raise ImageError("TRUNCATED", "a tag of the TIFF file points behind its end")
        tags[tag.code] = Tag(tag.code, int(tag.dtype), tag.count, data[tag.valueoffset : end])
    return tags


def _descriptive(tags: Mapping[int, Tag], order: ByteOrder, page: tifffile.TiffPage) -> tuple[Tag, ...]:
    """Without what only states the layout: a resolution of 1/1 without unit, tifffile's note of the shape."""
    kept = {tag.code: tag for tag in with_codes(tags.values(), DESCRIPTIVE)}
    unit = kept.get(RESOLUTION_UNIT)
    ones = struct.pack(f"{order}II", 1, 1)
    if unit and unit.value == struct.pack(f"{order}H", 1) and _resolutions(kept) <= {ones}:
        for code in (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT):
            kept.pop(code, None)
    if page.is_ome or page.is_shaped:
        kept.pop(DESCRIPTION, None)
    return tuple(kept.values())


def _resolutions(tags: Mapping[int, Tag]) -> set[bytes]:
    return {tags[code].value for code in (X_RESOLUTION, Y_RESOLUTION) if code in tags}


def _children(data: bytes, page: tifffile.TiffPage) -> tuple[tuple[int, Directory], ...]:
    """The Exif and GPS directories; one of unknown structure is left out."""
    children = []
    for code in (EXIF_POINTER, GPS_POINTER):
        tag = page.tags.get(code)
        if tag is None or page.parent.is_bigtiff:
            continue
        order = page.parent.byteorder
        try:
            # Not tifffile's ``valueoffset``, which for these two tags is already the directory's.
            at = struct.unpack_from(f"{order}I", data, tag.offset + 8)[0]
            child = read_directory(data, at, order, depth=1)
        except ValueError:
            continue
        except EOFError:
            raise ImageError("TRUNCATED", "the EXIF data of the TIFF file end after the file does") from None
        if not child.is_empty and all(is_storable(tag) for tag in child.tags):
            children.append((code, child))
    return tuple(children)


def directory_to_write(entries: Mapping[str, Any], size: tuple[int, int]) -> tuple[ByteOrder, Directory]:
    """Byte order and first directory of the EXIF entry; an empty one where it is missing or broken.

    A resolution that is a measure of pixels is that of an image of this height and width.
    """
    order: ByteOrder = entries.get("tiff_byte_order", "<")
    if EXIF not in entries:
        return order, Directory(())
    try:
        order, directory = read_exif(entries[EXIF])
    except (ValueError, EOFError):
        return order, Directory(())
    factor = factor_of(entries.get(CALIBRATED, size), size)
    if factor == 1:
        return order, directory
    tags = (_finer(tag, order, factor) for tag in directory.tags)
    return order, replace(directory, tags=tuple(tag for tag in tags if tag is not None))


def _finer(tag: Tag, order: ByteOrder, factor: Fraction | None) -> Tag | None:
    """As many times more pixels a unit; ``None`` where a rational cannot say how many."""
    if tag.code not in (X_RESOLUTION, Y_RESOLUTION):
        return tag
    over, under = struct.unpack(f"{order}II", tag.value) if (tag.kind, tag.number) == (5, 1) else (0, 0)
    if factor is None or not under:
        return None
    finer = Fraction(over, under) * factor
    if max(finer.numerator, finer.denominator) >= 1 << 32:
        return None
    return tag._replace(value=struct.pack(f"{order}II", finer.numerator, finer.denominator))


def grid_tags(entries: Mapping[str, Any], size: tuple[int, int]) -> list[Tag] | None:
    """The tags that hang on the pixel grid, for an image of this height and width; ``None``: it cannot be."""
    tags, grid = [Tag(*each) for each in entries.get(GRID_TAGS, ())], entries.get(GRID, size)
    if grid == size:
        return tags
    if [tag.code for tag in tags] != [DESCRIPTION]:
        return None
    moved = ome_on(tags[0].value.rstrip(b"\0").decode("utf-8", "surrogateescape"), grid, size)
    if moved is None:
        return None
    value = moved.encode("utf-8", "surrogateescape") + b"\0"
    return [tags[0]._replace(number=len(value), value=value)]


def resolution_arguments(directory: Directory, order: ByteOrder) -> dict[str, Any]:
    """The resolution tags as tifffile wants them: rationals, not floats, so that they stay byte for byte."""
    tags = {tag.code: tag for tag in directory.tags}
    found = [tags[code] for code in (X_RESOLUTION, Y_RESOLUTION) if code in tags]
    if not found or any((tag.kind, tag.number) != (5, 1) for tag in found):
        return {}
    x, y = (struct.unpack(f"{order}II", tag.value) for tag in (found[0], found[-1]))
    if 0 in (x[1], y[1]):
        return {}  # a number over nothing is none
    said = tags.get(RESOLUTION_UNIT)
    unit = struct.unpack(f"{order}H", said.value)[0] if said and (said.kind, said.number) == (3, 1) else 2
    return {"resolution": (x, y), "resolutionunit": unit}


def extra_tags(
    entries: Mapping[str, Any], directory: Directory, size: tuple[int, int]
) -> list[tuple[int, int, int, bytes, bool]]:
    """Tags for tifffile to write as they are, into an image of this height and width."""
    resolution = {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}
    tags = [tag for tag in directory.tags if tag.code in DESCRIPTIVE - resolution and is_storable(tag)]
    tags += grid_tags(entries, size) or []
    tags += [Tag(*tag) for tag in entries.get(COLOUR_TAGS, ())]
    if XMP in entries:
        tags.append(Tag(XMP_TAG, 1, len(entries[XMP]), entries[XMP]))
    tags += [
        Tag(code, 4, 1, b"\0" * 4) for code, _ in directory.children if code in (EXIF_POINTER, GPS_POINTER)
    ]
    order: ByteOrder = entries.get("tiff_byte_order", "<")
    return [(*_as_written(tag, order), True) for tag in sorted({tag.code: tag for tag in tags}.values())]


def _as_written(tag: Tag, order: ByteOrder) -> tuple[int, int, int, Any]:
    """tifffile takes bytes for values, but miscounts those of rationals."""
    if tag.kind not in _RATIONALS:
        return tag
    return tag._replace(value=struct.unpack(f"{order}{2 * tag.number}{_RATIONALS[tag.kind]}", tag.value))  # type: ignore[arg-type]


def append_children(file: bytes, directory: Directory, order: ByteOrder) -> bytes:
    """The classic TIFF file of one page, with the Exif and GPS directories behind it.

    tifffile writes no pointers to them, so its table of tags is repeated at the end with the pointers
    in their places, and the header leads there.
    """
    children = [(code, child) for code, child in directory.children if code in (EXIF_POINTER, GPS_POINTER)]
    if not children:
        return file
    whole = bytearray(file)
    first = struct.unpack_from(f"{order}I", whole, 4)[0]
    count = struct.unpack_from(f"{order}H", whole, first)[0]
    entries = [bytes(whole[at : at + 12]) for at in range(first + 2, first + 2 + 12 * count, 12)]
    for code, child in children:
        whole += b"\0" * (len(whole) % 2)
        entries.append(struct.pack(f"{order}HHII", code, 4, 1, len(whole)))
        whole += write_directory(child, order, len(whole))
    entries.sort(key=lambda entry: struct.unpack_from(f"{order}H", entry)[0])
    struct.pack_into(f"{order}I", whole, 4, len(whole))
    return bytes(whole + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + b"\0" * 4)
