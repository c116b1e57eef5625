"""Super-resolution networks out of ncnn files: SPAN as its graph says, Real-ESRGAN in our own RRDBNet."""

from __future__ import annotations

from pathlib import Path

import torch
from released.ncnn import Graph
from torch import nn

from models.networks.rrdbnet import RRDBNet


def graph(stem: Path) -> Graph:
    return Graph(stem.with_suffix(".param"), stem.with_suffix(".bin"))


@torch.no_grad()
def rrdbnet(stem: Path) -> RRDBNet:
    """The graph lists its convolutions in the order in which they run, and so does the network."""
    network, read = RRDBNet(), graph(stem)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    places = [index for index, layer in enumerate(read.layers) if layer.kind == "Convolution"]
    for convolution, index in zip(convolutions, places, strict=True):
        convolution.weight.copy_(getattr(read, f"weight_{index}"))
        convolution.bias.copy_(getattr(read, f"bias_{index}"))
    return network
