"""How an image is held: by its orientation (EXIF 2.3 and TIFF 6.0, tag 274), and two images held alike.

Shapes: H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.base import EXIF
from pipeline.formats.exif import UPRIGHT, orientation_said
from pipeline.formats.geotiff.format import RASTER_HEADER
from pipeline.formats.geotiff.header import RasterHeader
from pipeline.imaging.image import Image

# Orientation -> (whether rows and columns change places first, whether then rows, and columns, are reversed).
_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
_CELLS = 32
"""Rows and columns of what two images are compared by."""


def orientation_of(image: Image) -> int:
    """1 (as stored) to 8; 1 where the file says nothing, or nothing that can be read."""
    return _said(image) or UPRIGHT


def upright(pixels_HWC: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The stored pixels, HWC or HW, turned for the eye; height and width change places for 5 to 8."""
    swapped, rows, columns = _TURNS.get(orientation, (False, False, False))
    if swapped:
        pixels_HWC = pixels_HWC.swapaxes(0, 1)
    return np.ascontiguousarray(pixels_HWC[:: -1 if rows else 1, :: -1 if columns else 1])


def held_alike(other: Image, image: Image, fits: Callable[[Image], object], *, alike: bool = True) -> Image:
    """``other`` with its rows and columns in the places that ``image`` has them in, as both are stored.

    Many programs write turned pixels without the tag, others drop the tag of pixels that they never turned.
    So the orientations are believed where ``other`` fits when it is turned by them, and does not fit better
    as it is stored. ``fits`` raises ``ImageError`` for a size that does not. Where both sizes do, pixels
    decide if the two show the same (``alike``); a mask does not: if it says nothing, it lies as the image is
    stored.
    """
    if orientation_of(image) == orientation_of(other) or _is_placed(image) or _is_placed(other):
        return other
    turned = _turned(other, orientation_of(image))
    if not _passes(fits, turned):
        return other
    if not _passes(fits, other):
        return turned
    if not alike:
        return other if _said(other) is None else turned
    return other if _likeness(other, image) > _likeness(turned, image) else turned


def _said(image: Image) -> int | None:
    header = image.metadata.entries.get(RASTER_HEADER)
    if isinstance(header, RasterHeader) and header.orientation != UPRIGHT:
        return header.orientation
    return orientation_said(image.metadata.entries.get(EXIF, b""))


def _is_placed(image: Image) -> bool:
    """On the ground, by its pixels as they are stored."""
    header = image.metadata.entries.get(RASTER_HEADER)
    return isinstance(header, RasterHeader) and header.has_georeference


def _turned(image: Image, orientation: int) -> Image:
    """Upright, and from there as an image of this orientation is stored."""

    def turn(plane: NDArray[Any]) -> NDArray[Any]:
        swapped, rows, columns = _TURNS.get(orientation, (False, False, False))
        plane = upright(plane, orientation_of(image))[:: -1 if rows else 1, :: -1 if columns else 1]
        return np.ascontiguousarray(plane.swapaxes(0, 1) if swapped else plane)

    return replace(
        image,
        pixels_HWC=turn(image.pixels_HWC),
        valid_HW=None if image.valid_HW is None else turn(image.valid_HW),
        alpha_HW=None if image.alpha_HW is None else turn(image.alpha_HW),
    )


def _passes(fits: Callable[[Image], object], image: Image) -> bool:
    try:
        fits(image)
    except ImageError:
        return False
    return True


def _likeness(one: Image, another: Image) -> float:
    """Correlation of the means over the same places; 0 where one of them is flat."""
    cells = tuple(min(_CELLS, *sides) for sides in zip(one.size[:2], another.size[:2], strict=True))
    means = [_means(each, *cells).ravel() for each in (one, another)]
    spreads = [float(each.std()) for each in means]
    if min(spreads) == 0.0:
        return 0.0
    return float(np.mean((means[0] - means[0].mean()) * (means[1] - means[1].mean())) / np.prod(spreads))


def _means(image: Image, rows: int, columns: int) -> NDArray[np.float64]:
    """Of the channels, over a grid of rectangles that covers the image."""
    height, width, channels = image.size
    tops, lefts = (np.arange(count) * side // count for count, side in ((rows, height), (columns, width)))
    known_HWC = np.nan_to_num(image.pixels_HWC.astype(np.float64), posinf=0.0, neginf=0.0)
    sums = np.add.reduceat(np.add.reduceat(known_HWC.sum(axis=2), tops, axis=0), lefts, axis=1)
    areas = np.outer(np.diff([*tops, height]), np.diff([*lefts, width]))
    means: NDArray[np.float64] = sums / (areas * channels)
    return means
