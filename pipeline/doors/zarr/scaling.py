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


def refined(values: NDArray[Any], factor: Fraction) -> NDArray[Any]:
    """Coordinates of the new pixels' centres: between those of the old ones, and on beyond the ends."""
    count = int(len(values) * factor)
    if len(values) < 2:
        return np.repeat(values, count)
    places = (np.arange(count) + 0.5) / float(factor) - 0.5
    before = np.clip(np.floor(places).astype(np.intp), 0, len(values) - 2)
    wide = values.astype(np.float64)
    found = wide[before] + (places - before) * (wide[before + 1] - wide[before])
    if values.dtype.kind == "f":
        found = found.astype(values.dtype)
    return np.asarray(found)


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
