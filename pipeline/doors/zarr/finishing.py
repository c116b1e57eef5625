"""What makes a hierarchy of restored arrays: groups, coordinates, smaller levels, consolidated metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.doors.zarr.blocks import Cut, Range
from pipeline.doors.zarr.hierarchy import Hierarchy
from pipeline.doors.zarr.nodes import ALL2, V3, Node, axis_names, multiscale_levels
from pipeline.doors.zarr.scaling import (
    attributes_of,
    document_of,
    is_longitude,
    is_place,
    nearest,
    objects_of,
    plain,
    refined,
    resized,
)
from pipeline.doors.zarr.store import FolderStore, open_array
from pipeline.doors.zarr.valid_range import Valid
from pipeline.formats.nodata import apart_from
from pipeline.formats.zarr_block import Nodata, holds_no_data, values_of
from pipeline.storage.folder import Folder
from pipeline.storage.keys import safe_key

Documents = dict[str, bytes]
OURS = "restora"
"""The attribute of an array that this program wrote: which of its axes are those of an image."""


def finish_hierarchy(source: Hierarchy, target: Folder, restored: set[str], factor: Fraction) -> None:
    """Writes everything beside the restored arrays. Derived: doing it again gives the same."""
    documents: Documents = {}
    cuts = source.cuts()
    levels = multiscale_levels(source.nodes)
    made_of = {level: path for path in restored for level in levels.get(path, ())}
    for path, node in source.nodes.items():
        if not node.is_array:
            documents |= _below(path, objects_of(node.version, _group(node), attributes_of(node, factor)))
        elif path in restored:
            documents |= _below(path, restored_metadata(cuts[path], factor))
        elif path in made_of:
            cut = Cut(node, cuts[made_of[path]].axes, 1, 0)
            documents |= _level(target, cut, cuts[made_of[path]], factor)
        elif path not in cuts and not any(path in each for each in levels.values()):
            documents |= _beside(source, target, node, cuts, factor)
    for key, data in documents.items():
        target.put(key, data)
    _consolidate(source, target, documents)


def restored_metadata(cut: Cut, factor: Fraction) -> Documents:
    """Of an array of results."""
    attributes = attributes_of(cut.node, factor) | {OURS: {"axes": asdict(cut.axes)}}
    return objects_of(cut.node.version, document_of(cut, factor), attributes)


def _group(node: Node) -> dict[str, Any]:
    return {name: each for name, each in plain(node.document).items() if name != "consolidated_metadata"}


def _below(path: str, objects: Documents) -> Documents:
    return {f"{safe_key(path)}/{name}" if path else name: data for name, data in objects.items()}


# Coordinates, flags, scalars.


def _beside(
    source: Hierarchy, target: Folder, node: Node, cuts: Mapping[str, Cut], factor: Fraction
) -> Documents:
    axes = _spatial_axes(source, node, cuts) if factor != 1 else ()
    if not axes:
        _copy_chunks(source.folder, target, node)
        return _below(node.path, objects_of(node.version, plain(node.document), attributes_of(node, factor)))
    array = open_array(FolderStore(source.folder), node.path, node.version)
    values = np.asarray(array[...])
    if node.has_numbers and (node.shape == (len(values),) or is_place(node)):
        gap = next((each for each in values_of(node.nodata, values.dtype)), None)
        values = refined(values, axes, factor, 360.0 if is_longitude(node) else 0.0, gap)
    else:
        values = nearest(values, axes, factor)
    document = plain(node.document) | {"shape": list(resized(node, axes, factor))}
    if values.dtype != array.dtype:  # whole numbers, between which the new ones are
        document |= {"data_type": "float64"} if node.version == 3 else {"dtype": "<f8"}
    objects = _below(node.path, objects_of(node.version, document, attributes_of(node, factor)))
    _write(target, node, objects, values)
    return objects


def _spatial_axes(source: Hierarchy, node: Node, cuts: Mapping[str, Cut]) -> tuple[int, ...]:
    """Its axes that are those of an image beside it."""
    above = node.path.rpartition("/")[0]
    names: set[tuple[str, int]] = set()
    for path, cut in cuts.items():
        if path.rpartition("/")[0] == above:
            told = axis_names(source.nodes, cut.node)
            names |= {(told[axis], cut.node.shape[axis]) for axis in (cut.axes.rows, cut.axes.columns)}
    mine = zip(node.names, node.shape, strict=True)
    return tuple(axis for axis, each in enumerate(mine) if each[0] and each in names)


def _copy_chunks(source: Folder, target: Folder, node: Node) -> None:
    folder = source.child(node.path) if node.path else source
    for page in folder.pages():
        for entry in page:
            if node.chunk_numbers(entry.key) is not None or entry.key == node.chunk_key(()):
                target.put(f"{safe_key(node.path)}/{entry.key}".lstrip("/"), folder.read(entry.key))


def _write(target: Folder, node: Node, objects: Documents, values: NDArray[Any]) -> None:
    for key, data in objects.items():
        target.put(key, data)
    array = open_array(FolderStore(target, read_only=False), safe_key(node.path), node.version)
    array[...] = values


# Smaller levels of a pyramid.


def _level(target: Folder, cut: Cut, largest: Cut, factor: Fraction) -> Documents:
    """A level as the means of what the largest one has now, chunk by chunk."""
    node = cut.node
    objects = _below(
        node.path, objects_of(node.version, document_of(cut, factor), attributes_of(node, factor))
    )
    for key, data in objects.items():
        target.put(key, data)
    level = open_array(FolderStore(target, read_only=False), safe_key(node.path), node.version)
    whole = open_array(FolderStore(target), safe_key(largest.node.path), largest.node.version)
    ratio = tuple(max(1, round(a / b)) for a, b in zip(whole.shape, level.shape, strict=True))
    for index, rows, columns in _parts(cut, level.shape):
        part = largest.node.as_samples(
            np.asarray(whole[_wide(cut, index, rows, columns, whole.shape, ratio)])
        )
        size = [1] * part.ndim
        size[cut.axes.rows], size[cut.axes.columns] = rows[1] - rows[0], columns[1] - columns[0]
        if cut.axes.bands is not None:
            size[cut.axes.bands] = level.shape[cut.axes.bands]
        means = node.as_stored(means_of(part, tuple(size), ratio, largest.node.nodata, largest.node.valid))
        level[cut.selection(index, rows, columns)] = means.squeeze(cut.others)
    return objects


def _parts(cut: Cut, shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any, Any]]:
    """Index, rows and columns of everything that is written at a time."""
    spatial = []
    for axis in (cut.axes.rows, cut.axes.columns):
        step = cut.node.chunks[axis]
        spatial.append([(first, min(first + step, shape[axis])) for first in range(0, shape[axis], step)])
    yield from product(np.ndindex(tuple(shape[axis] for axis in cut.others)), *spatial)


def _wide(
    cut: Cut, index: tuple[int, ...], rows: Range, columns: Range, shape: Sequence[int], ratio: Sequence[int]
) -> tuple[slice, ...]:
    """What of the largest level a part of a smaller one is made of, along every axis."""
    ranges: list[Range] = [(0, extent) for extent in shape]
    for axis, place in zip(cut.others, index, strict=True):
        ranges[axis] = (place * ratio[axis], (place + 1) * ratio[axis])
    for axis, (first, last) in ((cut.axes.rows, rows), (cut.axes.columns, columns)):
        ranges[axis] = (first * ratio[axis], last * ratio[axis])
    # Where a level is rounded up, its last pixel has the end of the largest one alone.
    return tuple(
        slice(min(a, extent - 1), min(b, extent)) for (a, b), extent in zip(ranges, shape, strict=True)
    )


def means_of(
    samples: NDArray[Any],
    size: tuple[int, ...],
    ratio: Sequence[int],
    nodata: Nodata,
    valid: Valid | None = None,
) -> NDArray[Any]:
    """Of every ``ratio`` samples along each axis, without those that hold no data; whole numbers are rounded.

    Where none holds data the first stays as it is. Of the shape ``size``: at the end the last count again.
    """
    for axis, (extent, each) in enumerate(zip(size, ratio, strict=True)):
        samples = samples.take(np.minimum(np.arange(extent * each), samples.shape[axis] - 1), axis)
    shape = [side for pair in zip(size, ratio, strict=True) for side in pair]
    inner = tuple(range(1, len(shape), 2))
    cells, missing = (each.reshape(shape) for each in (samples, holds_no_data(samples, nodata, valid)))
    counts = (~missing).sum(inner)
    sums = np.where(missing, 0, cells).sum(inner, dtype=np.float64)
    first = cells[tuple(0 if axis in inner else slice(None) for axis in range(len(shape)))]
    means = sums / np.maximum(counts, 1)
    whole = np.rint(means) if samples.dtype.kind in "iu" else means
    found = apart_from(whole.astype(samples.dtype), values_of(nodata, samples.dtype), _limits(samples.dtype))
    return np.asarray(np.where(counts == 0, first, found))


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return float(limits.min), float(limits.max)


# Metadata in one document.


def _consolidate(source: Hierarchy, target: Folder, documents: Documents) -> None:
    """As zarr writes it: ``.zmetadata``, or inside the root's ``zarr.json``."""
    loaded = {key: json.loads(data) for key, data in documents.items()}
    versions = {node.version for node in source.nodes.values()}
    if versions == {2}:
        target.put(ALL2, json.dumps({"metadata": loaded, "zarr_consolidated_format": 1}, indent=1).encode())
    elif V3 in loaded and loaded[V3].get("node_type") == "group":
        inside = {key.removesuffix(f"/{V3}"): each for key, each in loaded.items() if key != V3}
        told = {"kind": "inline", "must_understand": False, "metadata": inside}
        target.put(V3, json.dumps(loaded[V3] | {"consolidated_metadata": told}, indent=1).encode())
