"""PReLU in the operators that onnxruntime is quick at: its own goes number by number.

Where no slope is above 1, PReLU(x) = max(x, slope x), bit for bit. In int8 there is neither. A slope that all
channels share is a table there (LeakyRelu); else the next convolution, which is linear, takes relu(x) and x
side by side: W PReLU(x) = W (1 - slope) relu(x) + W slope x.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class _Activation:
    """One in a graph, as PReLU or as a maximum."""

    nodes: tuple[Any, ...]
    before: str
    """What it reads."""
    after: str
    """What it makes."""
    slopes: NDArray[np.float32]
    slope_name: str


def quick_slopes(content: bytes) -> bytes:
    """The same graph with maxima for PReLU, where that is the same."""
    onnx = importlib.import_module("onnx")
    proto = onnx.load_from_string(content)
    for each in list(_activations(onnx, proto.graph)):
        (node, *rest) = each.nodes
        if rest or each.slopes.max() > 1:
            continue
        made, make = f"{each.after}_sloped", onnx.helper.make_node
        multiplied = make("Mul", [each.before, each.slope_name], [made], f"{node.name}_slope")
        _replace(proto.graph, each, [multiplied, make("Max", [each.before, made], [each.after], node.name)])
    written: bytes = proto.SerializeToString(deterministic=True)
    return written


def with_one_slope(content: bytes) -> bytes:
    """The graph with the mean slope of an activation for all its channels: near where they differ little."""
    onnx = importlib.import_module("onnx")
    proto = onnx.load_from_string(content)
    found = list(_activations(onnx, proto.graph))
    for each in found:
        slope, name = float(each.slopes.mean()), f"{each.nodes[0].name}_shared"
        leaky = onnx.helper.make_node("LeakyRelu", [each.before], [each.after], name, alpha=slope)
        _replace(proto.graph, each, [leaky])
    if not found:
        return content
    del proto.graph.value_info[:]
    written: bytes = proto.SerializeToString(deterministic=True)
    return written


def sloped_layers(content: bytes) -> tuple[bytes, dict[str, list[str]]]:
    """The graph with slopes inside the convolutions that follow, and for each of these the nodes before it.

    Twice the channels to read for a convolution, but nothing between it and the one before that is not int8.
    A slope that all channels share stays where it is: it has a table.
    """
    onnx = importlib.import_module("onnx")
    proto = onnx.load_from_string(content)
    graph, added = proto.graph, dict[str, list[str]]()
    for each in list(_activations(onnx, graph)):
        readers = [node for node in graph.node if each.after in node.input]
        weights = [weight for weight in graph.initializer if weight.name in readers[0].input[1:2]]
        if len(readers) != 1 or readers[0].op_type != "Conv" or not weights:
            continue
        kernel_OIhw = onnx.numpy_helper.to_array(weights[0])
        if kernel_OIhw.shape[1] != each.slopes.size or _is_shared(graph, weights[0].name):
            continue
        slopes_1I11 = each.slopes.reshape(1, -1, 1, 1)
        both_OIhw = np.concatenate([kernel_OIhw * (1 - slopes_1I11), kernel_OIhw * slopes_1I11], axis=1)
        weights[0].CopyFrom(onnx.numpy_helper.from_array(both_OIhw.astype(np.float32), weights[0].name))
        cut, make = f"{each.after}_cut", onnx.helper.make_node
        pair = [
            make("Relu", [each.before], [cut], f"{readers[0].name}_cut"),
            make("Concat", [cut, each.before], [each.after], f"{readers[0].name}_both", axis=1),
        ]
        _replace(graph, each, pair)
        added[readers[0].name] = [node.name for node in pair]
    for node in graph.node:
        readers = [each for each in graph.node if node.output[0] in each.input]
        if node.op_type == "LeakyRelu" and len(readers) == 1 and readers[0].op_type == "Conv":
            added[readers[0].name] = [node.name]
    del graph.value_info[:]
    written: bytes = proto.SerializeToString(deterministic=True)
    return written, added


def _activations(onnx: Any, graph: Any) -> Iterator[_Activation]:
    weights = {each.name: each for each in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        sloped = node if node.op_type == "PRelu" else _product_of(graph, node, makers)
        if sloped is None or sloped.input[1] not in weights:
            continue
        slopes = onnx.numpy_helper.to_array(weights[sloped.input[1]])
        if slopes.ndim >= 3 and slopes.shape[-2:] == (1, 1):
            nodes = (node,) if sloped is node else (node, sloped)
            yield _Activation(nodes, node.input[0], node.output[0], slopes.reshape(-1), sloped.input[1])


def _product_of(graph: Any, node: Any, makers: dict[str, Any]) -> Any:
    """slope x in max(x, slope x)."""
    made = makers.get(node.input[1]) if node.op_type == "Max" and len(node.input) == 2 else None
    if made is None or made.op_type != "Mul" or made.input[0] != node.input[0]:
        return None
    return None if _is_shared(graph, made.output[0]) else made


def _is_shared(graph: Any, name: str) -> bool:
    return sum(name in node.input for node in graph.node) > 1


def _replace(graph: Any, activation: _Activation, by: list[Any]) -> None:
    made = {node.output[0] for node in activation.nodes}
    nodes: list[Any] = []
    for node in graph.node:
        if node.output[0] == activation.after:
            nodes += by
        elif node.output[0] not in made:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
