"""The geometry of a DICOM image whose grid became finer or coarser (PS3.3 C.7.6.2, C.8.5.5, C.7.6.11).

Positions are those of pixel centres, so that they move when the spacing changes: by (1/f - 1)/2 source
pixels along both directions for f output pixels per source pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import format_number_as_ds

from pipeline.errors import ImageError
from pipeline.formats.dicom.classes import NEED_POSITION
from pipeline.formats.dicom.dataset import numbers, text, whole_number
from pipeline.formats.grid import Grid

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_EDGES = tuple(
    f"{part}{edge}"
    for part in ("Shutter", "Collimator")
    for edge in ("LeftVerticalEdge", "RightVerticalEdge", "UpperHorizontalEdge", "LowerHorizontalEdge")
)
_CENTRES = ("CenterOfCircularShutter", "CenterOfCircularCollimator")
_RADII = ("RadiusOfCircularShutter", "RadiusOfCircularCollimator")
_VERTICES = ("VerticesOfThePolygonalShutter", "VerticesOfThePolygonalCollimator")
_REGION_PLACES = (
    *("DopplerSampleVolumeXPosition", "DopplerSampleVolumeYPosition"),
    *("TMLinePositionX0", "TMLinePositionY0", "TMLinePositionX1", "TMLinePositionY1"),
)
"""Pixels of an ultrasound region, counted from 0 (PS3.3 C.8.5.5.1)."""
_OVERLAY_GROUPS = range(0x6000, 0x6020, 2)


def move_geometry(dataset: Dataset, grid: Grid) -> None:
    """Puts the size, and everything that is measured in pixels, onto the output's grid.

    ``ImageError("BAD_GEOMETRY")`` where that cannot be done; the dataset may then be half done.
    """
    if grid.size != (dataset.Rows, dataset.Columns):
        for tag in overlays_of(dataset):
            del dataset[tag]
        dataset.Rows, dataset.Columns = grid.size
    if grid.is_same:
        return
    _check(dataset)
    spacing = numbers(dataset, "PixelSpacing", 2)
    for item in (dataset, *_items(dataset, "DetectorInformationSequence")):
        _move_position(item, spacing, grid.shift)
    for keyword in _SPACINGS:
        if values := numbers(dataset, keyword, 2):
            setattr(dataset, keyword, [_decimal(value / float(grid.factor)) for value in values])
    _move_edges(dataset, grid.factor)
    for region in _items(dataset, "SequenceOfUltrasoundRegions"):
        _move_region(region, grid)


def overlays_of(dataset: Dataset) -> list[BaseTag]:
    """Tags of the overlay planes: bit maps of the source's size, which fit no other grid."""
    return [tag for tag in dataset.keys() if tag.group in _OVERLAY_GROUPS]  # noqa: SIM118 - no dict


def _check(dataset: Dataset) -> None:
    needed = ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient")
    given = [keyword for keyword in needed if dataset.get(keyword) is not None]
    wanted = text(dataset, "SOPClassUID") in NEED_POSITION or len(given) > 1
    if wanted and len(given) < len(needed):
        missing = ", ".join(keyword for keyword in needed if keyword not in given)
        raise ImageError("BAD_GEOMETRY", f"{missing} missing: another grid has no place in the patient")


def _move_position(item: Dataset, spacing: tuple[float, ...] | None, shift: float) -> None:
    position = numbers(item, "ImagePositionPatient", 3)
    directions = numbers(item, "ImageOrientationPatient", 6)
    if position is None or directions is None:
        return
    if spacing is None or min(spacing) <= 0 or not is_orthonormal(directions):
        raise ImageError("BAD_GEOMETRY", "PixelSpacing or ImageOrientationPatient is impossible")
    # PixelSpacing names the step between rows first; the first three cosines run along a row.
    moved = (
        position[i] + shift * (spacing[1] * directions[i] + spacing[0] * directions[3 + i]) for i in range(3)
    )
    item.ImagePositionPatient = [_decimal(value) for value in moved]


def is_orthonormal(directions: tuple[float, ...]) -> bool:
    """Whether six cosines are two unit vectors at right angles, as far as decimals in use are exact."""
    row, column = directions[:3], directions[3:]
    wanted = ((row, row, 1.0), (column, column, 1.0), (row, column, 0.0))
    return all(abs(sum(a * b for a, b in zip(x, y, strict=True)) - dot) < 1e-3 for x, y, dot in wanted)


def _move_edges(dataset: Dataset, factor: Fraction) -> None:
    """Shutters and collimators: row and column numbers, counted from 1."""
    for keyword in (*_EDGES, *_CENTRES, *_VERTICES, *_RADII):
        value = dataset.get(keyword)
        if value is None or value == "":
            continue
        single = isinstance(value, (int, float, str))
        half = Fraction(0) if keyword in _RADII else Fraction(1, 2)
        moved = [round((int(each) - half) * factor + half) for each in ([value] if single else value)]
        setattr(dataset, keyword, moved[0] if single else moved)


def _move_region(region: Dataset, grid: Grid) -> None:
    """An ultrasound region: its bounds in pixels from 0, and the physical step of a pixel."""
    for keyword in _REGION_PLACES:
        if keyword in region:
            setattr(region, keyword, math.floor(whole_number(region, keyword) * grid.factor))
    for axis, extent in (("X", grid.size[1]), ("Y", grid.size[0])):
        first, last = f"RegionLocationMin{axis}0", f"RegionLocationMax{axis}1"
        if first in region and last in region:
            start = whole_number(region, first) * grid.factor
            stop = (whole_number(region, last) + 1) * grid.factor
            setattr(region, first, min(math.floor(start), extent - 1))
            setattr(region, last, min(max(math.ceil(stop) - 1, 0), extent - 1))
        step, pixel = f"PhysicalDelta{axis}", f"ReferencePixel{axis}0"
        value = f"ReferencePixelPhysicalValue{axis}"
        if step not in region:
            continue
        delta = region[step].value
        if pixel in region and value in region:
            old = whole_number(region, pixel)
            new = math.floor(old * grid.factor)
            # The new reference pixel's centre lies between source pixels: its physical value says where.
            place = (new + Fraction(1, 2)) / grid.factor - Fraction(1, 2)
            setattr(region, pixel, new)
            setattr(region, value, region[value].value + delta * float(place - old))
        setattr(region, step, delta / float(grid.factor))


def _items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    yield from dataset.get(keyword) or ()


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters."""
    text: str = format_number_as_ds(value)
    return text
