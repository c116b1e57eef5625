"""What moves when a raster changes its size: the transform, ground control points, rational polynomials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.formats.geotiff.header import ControlPoint, RasterHeader, Tags
from pipeline.formats.grid import Grid
from pipeline.formats.tiff.microscopy import IMAGEJ, is_ome, ome_on

_DESCRIPTION, _RESOLUTIONS = "TIFFTAG_IMAGEDESCRIPTION", ("TIFFTAG_XRESOLUTION", "TIFFTAG_YRESOLUTION")
_PLACED = "xml:gml"
"""How domains begin whose documents say again where a JPEG 2000 file's own pixels lie (GMLJP2)."""


def scaled(header: RasterHeader, grid: Grid) -> RasterHeader:
    """The header for an image of the grid's size over the same ground."""
    scale = grid.factor
    resized = replace(header, height=grid.size[0], width=grid.size[1], tags=_tags(header, grid))
    if grid.is_same:
        return resized
    return replace(
        resized,
        transform=header.transform and scaled_transform(header.transform, scale),
        control_points=tuple(_scaled_point(point, scale) for point in header.control_points),
        rational=scaled_rational(header.rational, scale),
        documents={name: text for name, text in header.documents.items() if not name.startswith(_PLACED)},
    )


def _tags(header: RasterHeader, grid: Grid) -> Mapping[str, Tags]:
    """With what they say of the number and size of pixels; without what is not true any more."""
    if "" not in header.tags or grid.size == (header.height, header.width):
        return header.tags
    return {**header.tags, "": _described(header, grid)}


def _described(header: RasterHeader, grid: Grid) -> Tags:
    tags = dict(header.tags[""])
    description = tags.get(_DESCRIPTION, "")
    if is_ome(description):
        moved = ome_on(description, (header.height, header.width), grid.size)
        tags |= {} if moved is None else {_DESCRIPTION: moved}
        return tags if moved is not None else {k: v for k, v in tags.items() if k != _DESCRIPTION}
    for name in _RESOLUTIONS if description.startswith(IMAGEJ) else ():
        if name in tags:
            tags[name] = repr(float(tags[name]) * float(grid.factor))
    return tags


def scaled_transform(transform: tuple[float, ...], scale: Fraction) -> tuple[float, ...]:
    """GDAL's six numbers: the corner stays, steps along columns and rows shrink by the scale."""
    x, x_column, x_row, y, y_column, y_row = transform
    steps = [step / float(scale) for step in (x_column, x_row, y_column, y_row)]
    return x, steps[0], steps[1], y, steps[2], steps[3]


def _scaled_point(point: ControlPoint, scale: Fraction) -> ControlPoint:
    return point._replace(pixel=point.pixel * float(scale), line=point.line * float(scale))


def scaled_rational(rational: Mapping[str, str], scale: Fraction) -> dict[str, str]:
    """RPC00B counts from the centre of the first pixel, so offsets move by half a pixel before scaling."""
    moved = dict(rational)
    for axis in ("LINE", "SAMP"):
        if f"{axis}_OFF" in rational:
            moved[f"{axis}_OFF"] = repr((float(rational[f"{axis}_OFF"]) + 0.5) * float(scale) - 0.5)
        if f"{axis}_SCALE" in rational:
            moved[f"{axis}_SCALE"] = repr(float(rational[f"{axis}_SCALE"]) * float(scale))
    return moved


def scaled_mask(mask_HW: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Nearest neighbour at pixel centres."""
    rows, columns = (((np.arange(length) + 0.5) / float(grid.factor)).astype(np.intp) for length in grid.size)
    scaled_HW: NDArray[Any] = mask_HW[rows[:, None], columns[None, :]]
    return scaled_HW
