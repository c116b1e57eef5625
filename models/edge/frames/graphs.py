"""Networks that are exported by a twin: what they compute in Python, no graph can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from models.edge.frames.fusion import FrameFusionGraph
from models.edge.frames.recurrence import BasicVSRGraph
from models.networks.basicvsr import BasicVSR
from models.networks.frame_fusion import FrameFusion

_TWINS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    BasicVSR: BasicVSRGraph,
    FrameFusion: FrameFusionGraph,
}


def as_graph(network: nn.Module) -> nn.Module:
    """The network, or what computes the same, from the same weights, with operators that ONNX has."""
    make = _TWINS.get(type(network))
    return network if make is None else make(network).eval()
