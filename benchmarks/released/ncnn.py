"""Networks in ncnn's two files, ``.param`` (the graph as text) and ``.bin`` (its weights), run by torch.

Written from ncnn's documentation of operators and file formats. Covers what super-resolution networks
use; anything else is an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.weights.ncnn import Numbers, graph_lines


@dataclass(frozen=True)
class Layer:
    """One line of the graph."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: dict[int, Any]


class Graph(nn.Module):
    """``Graph(param, binary)(image_BCHW)``: the network of the two files, its last output."""

    def __init__(self, param: Path, binary: Path) -> None:
        super().__init__()
        self.layers = read_graph(param)
        reader = Numbers(binary.read_bytes(), binary.name)
        for index, layer in enumerate(self.layers):
            for name, tensor in WEIGHTS.get(layer.kind, no_weights)(layer.parameters, reader).items():
                self.register_buffer(f"{name}_{index}", tensor)
        reader.finish()

    def forward(self, image_BCHW: Tensor) -> Tensor:
        blobs: dict[str, Tensor] = {}
        for index, layer in enumerate(self.layers):
            if layer.kind == "Input":
                results = [image_BCHW]
            else:
                weights = {name: getattr(self, f"{name}_{index}", None) for name in ("weight", "bias")}
                # Every blob has one reader, because ncnn writes a Split where there are more.
                inputs = [blobs.pop(name) for name in layer.inputs]
                results = OPERATIONS[layer.kind](inputs, layer.parameters, **weights)
            blobs.update(zip(layer.outputs, results * len(layer.outputs), strict=False))
        (output,) = blobs.values()
        return output

    @property
    def parameter_count(self) -> int:
        return sum(tensor.numel() for tensor in self.buffers())


def read_graph(param: Path) -> list[Layer]:
    layers = [read_layer(line.split()) for line in graph_lines(param)]
    if unknown := sorted({layer.kind for layer in layers} - OPERATIONS.keys() - {"Input"}):
        raise ValueError(f"layers that this reader does not know: {', '.join(unknown)}")
    return layers


def read_layer(words: list[str]) -> Layer:
    kind, name, inputs, outputs = words[0], words[1], int(words[2]), int(words[3])
    blobs, settings = words[4 : 4 + inputs + outputs], words[4 + inputs + outputs :]
    parameters: dict[int, Any] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        if int(key) <= -23300:  # an array: its length, then its values
            parameters[-23300 - int(key)] = [float(each) for each in value.split(",")[1:]]
        else:
            parameters[int(key)] = float(value) if "." in value or "e" in value else int(value)
    return Layer(kind, name, tuple(blobs[:inputs]), tuple(blobs[inputs:]), parameters)


Parameters = dict[int, Any]


def no_weights(parameters: Parameters, reader: Numbers) -> dict[str, Tensor]:
    return {}


def convolution_weights(parameters: Parameters, reader: Numbers) -> dict[str, Tensor]:
    outputs, width = parameters[0], parameters[1]
    shape = (outputs, -1, parameters.get(11, width), width)
    weights = {"weight": reader.tagged(parameters[6]).view(shape)}
    return weights | ({"bias": reader.plain(outputs)} if parameters.get(5) else {})


def constant(parameters: Parameters, reader: Numbers) -> dict[str, Tensor]:
    width, height, channels = (parameters.get(key, 0) for key in (0, 1, 2))
    assert min(width, height, channels) > 0, f"a constant of shape {parameters}"
    return {"weight": reader.plain(width * height * channels).view(1, channels, height, width)}


WEIGHTS: dict[str, Callable[[Parameters, Numbers], dict[str, Tensor]]] = {
    "Convolution": convolution_weights,
    "MemoryData": constant,
    "PReLU": lambda parameters, reader: {"weight": reader.plain(parameters[0])},
}


def convolve(inputs: list[Tensor], given: Parameters, weight: Tensor, bias: Tensor | None) -> list[Tensor]:
    result = F.conv2d(
        inputs[0],
        weight,
        bias,
        stride=given.get(3, 1),
        padding=(given.get(14, given.get(4, 0)), given.get(4, 0)),
        dilation=given.get(2, 1),
    )
    return [ACTIVATIONS[given.get(9, 0)](result, given.get(10, []))]


ACTIVATIONS: dict[int, Callable[[Tensor, list[float]], Tensor]] = {
    0: lambda x, _: x,
    1: lambda x, _: F.relu(x),
    2: lambda x, slope: F.leaky_relu(x, slope[0]),
    3: lambda x, ends: x.clamp(*ends),
    4: lambda x, _: x.sigmoid(),
}

BINARY: dict[int, Callable[[Any, Any], Tensor]] = {
    0: lambda a, b: a + b,
    1: lambda a, b: a - b,
    2: lambda a, b: a * b,
    3: lambda a, b: a / b,
    7: lambda a, b: b - a,
    8: lambda a, b: b / a,
}


def combine(inputs: list[Tensor], given: Parameters, **_: Any) -> list[Tensor]:
    second = given.get(2, 0.0) if given.get(1) else inputs[1]
    return [BINARY[given.get(0, 0)](inputs[0], second)]


def weighted_sum(inputs: list[Tensor], given: Parameters, **_: Any) -> list[Tensor]:
    assert given.get(0, 0) == 1, "of ncnn's Eltwise only the sum is read"
    factors = given.get(1) or [1.0] * len(inputs)
    return [sum(factor * each for factor, each in zip(factors, inputs, strict=True))]


def interpolate(inputs: list[Tensor], given: Parameters, **_: Any) -> list[Tensor]:
    # Bicubic is another kernel in ncnn; only what is the same in both is read.
    mode = {1: "nearest", 2: "bilinear"}[given[0]]
    return [F.interpolate(inputs[0], scale_factor=(given[1], given[2]), mode=mode)]


OPERATIONS: dict[str, Callable[..., list[Tensor]]] = {
    "Convolution": convolve,
    "BinaryOp": combine,
    "Eltwise": weighted_sum,
    "Interp": interpolate,
    "MemoryData": lambda inputs, given, weight, bias: [weight],
    "PReLU": lambda inputs, given, weight, bias: [F.prelu(inputs[0], weight)],
    "Split": lambda inputs, given, **_: inputs,
    "Concat": lambda inputs, given, **_: [torch.cat(inputs, dim=1 + given.get(0, 0))],
    "PixelShuffle": lambda inputs, given, **_: [F.pixel_shuffle(inputs[0], given[0])],
    "Sigmoid": lambda inputs, given, **_: [inputs[0].sigmoid()],
    "Swish": lambda inputs, given, **_: [F.silu(inputs[0])],
}
