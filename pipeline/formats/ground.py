"""Where two images lie that belong to each other: on the ground (rasters) or in a scanner (NIfTI).

Affines map the corners of pixels, rows and columns from the first corner, to coordinates of any number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.formats.geotiff.format import RASTER_HEADER
from pipeline.formats.geotiff.header import RasterHeader
from pipeline.formats.nifti.head import NIFTI_HEADER
from pipeline.imaging.image import Image

Affine = NDArray[np.float64]
_SAME_STEP = 0.1


@dataclass(frozen=True)
class Place:
    """What a header says of where the pixels lie."""

    affine: Affine
    """N x 3: coordinates of a step along the rows' axis, one along the columns' axis, and of the corner."""
    space: str
    """What the coordinates count in; those of different spaces cannot be compared."""

    def corners(self, height: int, width: int) -> Affine:
        """N x 4."""
        places: Affine = (
            self.affine @ np.array([(0, 0, 1), (height, 0, 1), (0, width, 1), (height, width, 1)]).T
        )
        return places


def place_of(image: Image) -> Place | None:
    """``None`` where the header does not say it."""
    header = image.metadata.entries.get(RASTER_HEADER)
    if isinstance(header, RasterHeader):
        return None if header.transform is None else on_the_ground(header.transform)
    stored = image.metadata.entries.get(NIFTI_HEADER)
    return None if stored is None else _in_a_scanner(stored)


def distance(other: Image, image: Image, ratio: int) -> float:
    """How far the corners of ``other`` are from the image's, in pixels of ``other``, ``ratio`` to one.

    0 where one of them does not say it, or they cannot be compared: they count in different spaces, or the
    steps are not ``ratio`` times as fine, as of a header that was copied from the other.
    """
    its, own = place_of(other), place_of(image)
    if its is None or own is None or its.space != own.space or its.affine.shape != own.affine.shape:
        return 0.0
    height, width = image.size[:2]
    steps = [np.linalg.norm(each.affine[:, :2], axis=0) for each in (its, own)]
    if not np.allclose(steps[0] * ratio, steps[1], rtol=_SAME_STEP):
        return 0.0
    apart = its.corners(height * ratio, width * ratio) - own.corners(height, width)
    return float(np.linalg.norm(apart, axis=0).max()) / float(steps[0].max())


def on_the_ground(transform: Sequence[float]) -> Place:
    """By GDAL's six numbers; coordinates are x and y of the raster's own system."""
    x, x_column, x_row, y, y_column, y_row = transform
    return Place(np.array([(x_row, x_column, x), (y_row, y_column, y)], np.float64), "ground")


def _in_a_scanner(stored: bytes) -> Place | None:
    """Of the first slice, and the way to the next, so that a volume that is turned over differs."""
    from pipeline.formats.nifti.header import (
        affine_of,
        read_header,
    )  # start-up: with it comes nibabel, an extra

    found = affine_of(read_header(stored))
    if found is None:
        return None
    affine, space = found
    corner = affine @ [-0.5, -0.5, 0.0, 1.0]
    plane = np.column_stack([affine[:3, 0], affine[:3, 1], corner[:3]])
    onwards = np.column_stack([np.zeros((3, 2)), affine[:3, 2]])
    return Place(np.vstack([plane, onwards]), space)
