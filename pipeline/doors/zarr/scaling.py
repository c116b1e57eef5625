"""The metadata of a hierarchy after every pixel became several, or several one."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.doors.zarr.blocks import Cut
from pipeline.doors.zarr.nodes import Node, multiscales_of

_LONGITUDES = frozenset({"longitude", "lon", "nav_lon"})
_PLACES = frozenset(
    {"latitude", "lat", "nav_lat", "projection_x_coordinate", "projection_y_coordinate", "xc", "yc"}
)
_TRANSFORM, _SHAPE, _GDAL = "spatial:transform", "spatial:shape", "GeoTransform"


def document_of(cut: Cut, factor: Fraction) -> dict[str, Any]:
    """Of the array that a restored one becomes: an image has chunks of its own, so that no two write one."""
    spatial = (cut.axes.rows, cut.axes.columns)
    shape = resized(cut.node, spatial, factor)
    document = plain(cut.node.document) | {"shape": list(shape)}
    if cut.node.version == 2:
        document["chunks"] = _alone(cut, document["chunks"])
        return document
    grid = document["chunk_grid"]["configuration"]
    grid["chunk_shape"] = _alone(cut, grid["chunk_shape"])
    for codec in document["codecs"]:
        if codec.get("name") == "sharding_indexed":
            codec["configuration"]["chunk_shape"] = _alone(cut, codec["configuration"]["chunk_shape"])
    return document


def _alone(cut: Cut, chunks: list[int]) -> list[int]:
    return [1 if axis in cut.others else extent for axis, extent in enumerate(chunks)]


def resized(node: Node, axes: tuple[int, ...], factor: Fraction) -> tuple[int, ...]:
    """The shape with these axes longer or shorter."""
    return tuple(int(extent * factor) if axis in axes else extent for axis, extent in enumerate(node.shape))


def attributes_of(node: Node, factor: Fraction, axis_names: tuple[str, ...] = ()) -> dict[str, Any]:
    """The attributes, with those that place pixels on the ground, or in a sample, for the new ones."""
    attributes: dict[str, Any] = plain(node.attributes)
    if factor == 1:
        return attributes
    step = float(1 / factor)
    if isinstance(told := attributes.get(_TRANSFORM), list) and len(told) >= 6:
        attributes[_TRANSFORM] = [
            each * step if place in (0, 1, 3, 4) else each for place, each in enumerate(told)
        ]
    if isinstance(told := attributes.get(_SHAPE), list):
        attributes[_SHAPE] = [int(each * factor) for each in told]
    if isinstance(told := attributes.get(_GDAL), str) and len(told.split()) == 6:
        numbers = [float(each) for each in told.split()]
        scaled = [each * step if place in (1, 2, 4, 5) else each for place, each in enumerate(numbers)]
        attributes[_GDAL] = " ".join(map(repr, scaled))
    for image in multiscales_of(attributes):
        _place_levels(image, step)
    return attributes


def _place_levels(image: dict[str, Any], step: float) -> None:
    """OME-Zarr: the scale of the axes of space, and the shift of the first pixel's centre."""
    axes = [each if isinstance(each, dict) else {"name": each} for each in image.get("axes", [])]
    moved = [axis.get("name") in ("y", "x") for axis in axes]
    for level in image.get("datasets", []):
        changes = level.get("coordinateTransformations", [])
        scale = next((each["scale"] for each in changes if each.get("type") == "scale"), None)
        if scale is None or len(scale) != len(moved):
            continue
        shift = [each * (step - 1) / 2 if move else 0.0 for each, move in zip(scale, moved, strict=True)]
        before = next((each["translation"] for each in changes if each.get("type") == "translation"), None)
        start = before or [0.0] * len(shift)
        level["coordinateTransformations"] = [
            {"type": "scale", "scale": [e * step if m else e for e, m in zip(scale, moved, strict=True)]},
            {"type": "translation", "translation": [a + b for a, b in zip(start, shift, strict=True)]},
        ]


def refined(
    values: NDArray[Any],
    axes: tuple[int, ...],
    factor: Fraction,
    period: float = 0.0,
    gap: float | None = None,
) -> NDArray[Any]:
    """Coordinates of the new pixels' centres: between those of the old ones, and on beyond the ends.

    ``period``: of those that begin anew somewhere, 360 of longitudes; ``gap``: the value of those that are
    none, beside which the new ones are as the nearest. Whole numbers become float64.
    """
    wide = values.astype(np.float64)
    for axis in axes:
        wide = _between(wide, axis, factor, period)
    if period:
        least = -period / 2 if np.nanmin(values) < 0 else 0.0
        beyond = (wide < least) | (wide > least + period)
        wide = np.where(beyond, (wide - least) % period + least, wide)
    if gap is not None:
        missing = values == gap
        spoilt = _between_any(missing, axes, factor)
        wide = np.where(spoilt, nearest(values, axes, factor).astype(np.float64), wide)
    return np.asarray(wide.astype(values.dtype) if values.dtype.kind == "f" else wide)


def _between(wide: NDArray[np.float64], axis: int, factor: Fraction, period: float) -> NDArray[np.float64]:
    before, places = _places(wide.shape[axis], factor)
    if wide.shape[axis] < 2:
        return np.repeat(wide, len(places), axis)
    first = wide.take(before, axis)
    step = wide.take(before + 1, axis) - first
    if period:
        step = step - period * np.rint(step / period)
    shape = [-1 if each == axis else 1 for each in range(wide.ndim)]
    return np.asarray(first + (places - before).reshape(shape) * step)


def _between_any(missing: NDArray[np.bool_], axes: tuple[int, ...], factor: Fraction) -> NDArray[np.bool_]:
    """Which of the new values are made of one that is missing."""
    for axis in axes:
        before, _ = _places(missing.shape[axis], factor)
        last = missing.shape[axis] - 1
        missing = missing.take(before, axis) | missing.take(np.minimum(before + 1, last), axis)
    return missing


def _places(extent: int, factor: Fraction) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Of the new pixels among the old ones, and the old one before each, which has one behind it."""
    places: NDArray[np.float64] = (np.arange(int(extent * factor), dtype=np.float64) + 0.5) / float(factor)
    places -= 0.5
    return np.clip(np.floor(places).astype(np.intp), 0, max(extent - 2, 0)), places


def is_place(node: Node) -> bool:
    """Whether an array over rows and columns says where each pixel lies, as those of swaths do (CF 5.2)."""
    return _is_called(node, _PLACES, ("degree_n", "degrees_n")) or is_longitude(node)


def is_longitude(node: Node) -> bool:
    """Whether it begins anew at the meridian, or opposite to it."""
    return _is_called(node, _LONGITUDES, ("degree_e", "degrees_e"))


def _is_called(node: Node, names: frozenset[str], units: tuple[str, ...]) -> bool:
    told = {str(node.attributes.get("standard_name", "")), node.path.rpartition("/")[2].lower()}
    return not names.isdisjoint(told) or str(node.attributes.get("units", "")).lower().startswith(units)


def nearest(values: NDArray[Any], axes: tuple[int, ...], factor: Fraction) -> NDArray[Any]:
    """Flags and the like: every new pixel as the old one that it lies in."""
    for axis in axes:
        count = int(values.shape[axis] * factor)
        places = ((np.arange(count) + 0.5) / float(factor)).astype(np.intp)
        values = values.take(places, axis)
    return values


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """A copy to change."""
    copied: dict[str, Any] = copy.deepcopy(dict(value))
    return copied


def objects_of(
    node_version: int, document: Mapping[str, Any], attributes: Mapping[str, Any]
) -> dict[str, bytes]:
    """The metadata documents of a group or an array, by their names."""
    if node_version == 3:
        return {"zarr.json": _json(dict(document) | {"attributes": dict(attributes)})}
    name = ".zarray" if "shape" in document else ".zgroup"
    return {name: _json(document), ".zattrs": _json(attributes)}


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1).encode()
