"""A hierarchy and its arrays: which are images, and how they are cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.doors.zarr.blocks import Cut
from pipeline.doors.zarr.nodes import (
    Axes,
    Node,
    auxiliary,
    axes_of,
    axis_names,
    multiscale_levels,
    read_nodes,
)
from pipeline.jobs.stores import ZarrStore
from pipeline.storage.folder import Folder

NO_IMAGE = "Zarr arrays that are no images: coordinates, flags, labels, scalars"
"""What a listing leaves out and counts."""
SMALLER = "smaller levels of OME-Zarr pyramids, which are made again of the largest"


@dataclass(frozen=True)
class Hierarchy:
    """Everything at an address but the chunks."""

    folder: Folder
    nodes: Mapping[str, Node]
    options: ZarrStore

    @classmethod
    def read(cls, folder: Folder, options: ZarrStore) -> Hierarchy:
        """Raises what the store raises, ``FileNotFoundError`` where there is no hierarchy."""
        nodes = read_nodes(folder)
        if not nodes:
            raise FileNotFoundError("no Zarr hierarchy: neither zarr.json nor .zgroup nor .zarray")
        return cls(folder, nodes, options)

    def cuts(self, left_out: Counter[str] | None = None) -> dict[str, Cut]:
        """The arrays that are images, by path."""
        counts: Counter[str] = Counter() if left_out is None else left_out
        beside, levels = auxiliary(self.nodes), multiscale_levels(self.nodes)
        smaller = {path for paths in levels.values() for path in paths}
        found = {}
        for path, node in self.nodes.items():
            if not node.is_array:
                continue
            axes = self._axes(node)
            if path in smaller:
                counts[SMALLER] += 1
            elif axes is None or path in beside or "labels" in path.split("/")[:-1] or not node.has_numbers:
                counts[NO_IMAGE] += 1
            else:
                found[path] = Cut(node, axes, self.options.tile, self.options.overlap)
        return found

    def cut(self, path: str) -> Cut:
        """Of one array. ``FileNotFoundError`` where it is none, or none any more."""
        node = self.nodes.get(path)
        axes = None if node is None or not node.is_array else self._axes(node)
        if node is None or axes is None:
            raise FileNotFoundError(path)
        return Cut(node, axes, self.options.tile, self.options.overlap)

    def _axes(self, node: Node) -> Axes | None:
        return axes_of(node, axis_names(self.nodes, node), self.options.bands)


def fault_of(node: Node) -> str:
    """Why an array cannot be read, known by its metadata; empty where it can."""
    from zarr.core.array import parse_array_metadata

    try:
        np.dtype(node.dtype)
        document = dict(node.document)
        parse_array_metadata(document | {"attributes": dict(node.attributes)})
    except Exception as error:
        words = str(error).strip().splitlines()
        return f"zarr cannot read the array ({type(error).__name__}: {words[0][:120] if words else ''})"
    return ""
