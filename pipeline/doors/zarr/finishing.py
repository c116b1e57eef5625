"""What makes a hierarchy of restored arrays: groups, coordinates, smaller levels, consolidated metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.doors.zarr.blocks import Cut
from pipeline.doors.zarr.hierarchy import Hierarchy
from pipeline.doors.zarr.nodes import ALL2, V3, Node, axis_names, multiscale_levels
from pipeline.doors.zarr.scaling import (
    attributes_of,
    document_of,
    nearest,
    objects_of,
    plain,
    refined,
    resized,
)
from pipeline.doors.zarr.store import FolderStore, open_array
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
    is_coordinate = node.shape == (len(values),)
    values = refined(values, factor) if is_coordinate else nearest(values, axes, factor)
    document = plain(node.document) | {"shape": list(resized(node, axes, factor))}
    if values.dtype.name != node.dtype:  # whole numbers, between which the new ones are
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
    ratio = tuple(
        max(1, round(whole.shape[axis] / level.shape[axis])) for axis in (cut.axes.rows, cut.axes.columns)
    )
    for index, rows, columns in _parts(cut, level.shape):
        wide = [(first * r, min(last * r, extent)) for (first, last), r, extent in zip(
            (rows, columns), ratio, (whole.shape[cut.axes.rows], whole.shape[cut.axes.columns]), strict=True
        )]  # fmt: skip
        found = np.asarray(whole[cut.selection(index, wide[0], wide[1])])
        order = cut.order()[-2:]
        size = rows[1] - rows[0], columns[1] - columns[0]
        level[cut.selection(index, rows, columns)] = _means(found, order, size, ratio)
    return objects


def _parts(cut: Cut, shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any, Any]]:
    """Index, rows and columns of everything that is written at a time."""
    spatial = []
    for axis in (cut.axes.rows, cut.axes.columns):
        step = cut.node.chunks[axis]
        spatial.append([(first, min(first + step, shape[axis])) for first in range(0, shape[axis], step)])
    yield from product(np.ndindex(tuple(shape[axis] for axis in cut.others)), *spatial)


def _means(
    found: NDArray[Any], axes: tuple[int, ...], size: tuple[int, int], ratio: tuple[int, ...]
) -> NDArray[Any]:
    """Of every ``ratio`` pixels, the last ones repeated where they are fewer; whole numbers are rounded."""
    for axis, extent, each in zip(axes, size, ratio, strict=True):
        places = np.minimum(np.arange(extent * each), found.shape[axis] - 1)
        found = found.take(places, axis)
    shape = list(found.shape)
    for axis, extent, each in sorted(zip(axes, size, ratio, strict=True), reverse=True):
        shape[axis : axis + 1] = [extent, each]
    first, second = sorted(axes)
    means = found.reshape(shape).mean(axis=(first + 1, second + 2), dtype=np.float64)
    whole = np.rint(means) if found.dtype.kind in "iu" else means
    return np.asarray(whole.astype(found.dtype))


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
