"""Operators inside a loop of a graph, which the exporter's change of opset passes over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_MODES = {b"bilinear": b"linear", b"bicubic": b"cubic"}
"""Of GridSample: its name up to opset 19 -> that of today."""


def modernise(graph: Any) -> None:
    """Writes the modes of ``GridSample`` as opset 20 and later spell them, within loops too."""
    for node in _nodes_of(graph):
        if node.op_type == "GridSample":
            for attribute in node.attribute:
                if attribute.name == "mode":
                    attribute.s = _MODES.get(attribute.s, attribute.s)


def _nodes_of(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes_of(attribute.g)
