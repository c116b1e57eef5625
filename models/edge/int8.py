"""Static int8 of a network in ONNX: weights per channel, activations by ranges that were seen in calibration.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
CVPR 2018; by onnxruntime, as pairs of quantise and dequantise nodes.
"""

from __future__ import annotations

import ast
import importlib
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.edge.fitting import Fit, InFloat, fitted_layers, put_weights
from models.edge.slopes import sloped_layers

_WARNINGS, _ERRORS = 2, 3
"""What onnxruntime says: its own default, and no less."""

Inputs = Mapping[str, NDArray[np.float32]]
"""One call of the graph: input -> array."""

QUANTISED = ("Conv", "Gemm", "MatMul")
"""Operators that onnxruntime has in int8 on a CPU."""
_JOINED = ("Relu", "Concat", "LeakyRelu")
"""What puts slopes into the layer after them (``models.edge.slopes``): int8 there, and nowhere else."""
_WITHOUT = ("ConvTranspose", "DFT", "GRU", "LSTM")
"""Operators that do much of a network's work and have no int8 there."""


def int8_layers(content: bytes) -> list[str]:
    """Names of the nodes that can be int8, in the order of the graph.

    ``ValueError`` names a layer that does much of the work and has no int8, and a network without any, or
    that is int8 already.
    """
    graph = importlib.import_module("onnx").load_from_string(content).graph
    if without := [each for each in graph.node if each.op_type in _WITHOUT]:
        named = ", ".join(f"{layer_of(each)} ({each.op_type})" for each in without[:3])
        raise ValueError(f"there is no int8 for {named}; run this network in float32: restora export")
    if any(each.op_type == "DequantizeLinear" for each in graph.node):
        raise ValueError("it is int8 already; give what it was made from")
    weights = {each.name for each in graph.initializer}
    found = [each.name for each in graph.node if each.op_type in QUANTISED and each.input[1] in weights]
    if not found:
        raise ValueError(
            "this network has no convolution or matrix product with weights; int8 has nothing to gain"
        )
    return found


def layer_of(node: Any) -> str:
    """The module that a node comes from, as the network's author names it; else the node's own name."""
    for each in node.metadata_props:
        if each.key == "pkg.torch.onnx.name_scopes":
            names = [str(name).removeprefix("network.") for name in ast.literal_eval(each.value)[:-1]]
            return next((name for name in reversed(names) if name), str(node.name))
    return str(node.name)


def fits_of(
    content: bytes, calibration: Sequence[Inputs], keep: Sequence[str] = ()
) -> dict[str, Fit | InFloat]:
    """For ``quantised``: the convolutions fitted to int8 on these calls, by node; those of ``keep`` that make
    copies for them stay float32."""
    names = [each for each in int8_layers(content) if each not in keep]
    return fitted_layers(sloped_layers(content)[0], calibration, names)


def quantised(
    content: bytes,
    calibration: Sequence[Inputs],
    keep: Sequence[str] = (),
    fits: Mapping[str, Fit | InFloat] | None = None,
) -> bytes:
    """The network in int8 but for the nodes in ``keep``; its metadata are those of ``content``.

    ``fits`` are those for the same ``keep``. Layers without one have the range that they show in
    ``calibration``, and weights rounded each by itself, to 7 of the 8 bits: on processors without VNNI, sums
    of products of whole bytes overflow.
    """
    runtime = importlib.import_module("onnxruntime")
    quantization = importlib.import_module("onnxruntime.quantization")
    before = logging.root.manager.disable
    with tempfile.TemporaryDirectory(prefix="restora-int8-") as folder:
        source, target = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
        whole, joined = sloped_layers(content)
        fitted, overrides = _with_fits(_with_inputs_apart(whole), fits or {})
        source.write_bytes(fitted)
        logging.disable(logging.WARNING)  # advice to developers of networks
        runtime.set_default_logger_severity(_ERRORS)
        try:
            quantization.quantize_static(
                str(source),
                str(target),
                _Reader(calibration),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                op_types_to_quantize=[*QUANTISED, *_JOINED],
                nodes_to_exclude=[*keep, *_others(whole, joined, keep)],
                extra_options={"TensorQuantOverrides": overrides},
            )
        finally:
            logging.disable(before)
            runtime.set_default_logger_severity(_WARNINGS)
        return target.read_bytes()


def _with_fits(
    content: bytes, fits: Mapping[str, Fit | InFloat]
) -> tuple[bytes, dict[str, list[dict[str, Any]]]]:
    """The graph with weights of whole steps, and what onnxruntime is told of ranges and steps, by tensor."""
    onnx = importlib.import_module("onnx")
    proto = onnx.load_from_string(content)
    overrides: dict[str, list[dict[str, Any]]] = {}
    for node in proto.graph.node:
        fit, zero = fits.get(node.name), np.array(0, np.int8)
        if fit is not None:
            put_weights(onnx, proto.graph, node, fit)
        if isinstance(fit, Fit):
            for name, rounded in {node.input[0]: fit.reads, **fit.makes}.items():
                overrides[name] = [{"scale": rounded.step, "zero_point": rounded.zero}]
            weights = [{"scale": np.array(each), "zero_point": zero} for each in fit.steps_O]
            overrides[node.input[1]] = [{"axis": 0} | weights[0], *weights[1:]]
    written: bytes = proto.SerializeToString()
    return written, overrides


def _others(content: bytes, joined: Mapping[str, Sequence[str]], keep: Sequence[str]) -> list[str]:
    """The nodes of the kinds that go with layers, but for those of layers in int8.

    A ReLU after such a layer goes with it: a range that begins at zero does the same, and nothing is rounded
    between the two.
    """
    inside = {name for layer, names in joined.items() if layer not in keep for name in names}
    nodes = importlib.import_module("onnx").load_from_string(content).graph.node
    makers = {name: node for node in nodes for name in node.output}
    read = [name for node in nodes for name in node.input]
    for node in nodes:
        maker = makers.get(node.input[0]) if node.op_type == "Relu" else None
        if maker is not None and maker.op_type in QUANTISED and maker.name not in keep:
            inside |= {node.name} if read.count(node.input[0]) == 1 else set()
    return [each.name for each in nodes if each.op_type in _JOINED and each.name not in inside]


def with_metadata(content: bytes, changed: Mapping[str, str]) -> bytes:
    """The same graph with other metadata under these keys."""
    proto = importlib.import_module("onnx").load_from_string(content)
    for entry in proto.metadata_props:
        entry.value = changed.get(entry.key, entry.value)
    written: bytes = proto.SerializeToString(deterministic=True)
    return written


def _with_inputs_apart(content: bytes) -> bytes:
    """The same graph; what a layer and others read, as an image that details are added to, is named twice.

    Else onnxruntime rounds it to bytes for all of them.
    """
    onnx = importlib.import_module("onnx")
    proto = onnx.load_from_string(content)
    nodes = list(proto.graph.node)
    others = {name for node in nodes if node.op_type not in QUANTISED for name in node.input}
    del proto.graph.node[:]
    for node in nodes:
        if node.op_type in QUANTISED and node.input[0] in others:
            apart = f"{node.name}_input"
            proto.graph.node.append(onnx.helper.make_node("Identity", [node.input[0]], [apart], apart))
            node.input[0] = apart
        proto.graph.node.append(node)
    apart_content: bytes = proto.SerializeToString()
    return apart_content


class _Reader:
    """As onnxruntime asks for calibration data: one call after the other, then nothing."""

    def __init__(self, calibration: Sequence[Inputs]) -> None:
        self._rest = iter(calibration)

    def get_next(self) -> Inputs | None:
        return next(self._rest, None)

    def __iter__(self) -> _Reader:
        return self

    def __next__(self) -> Inputs:
        return next(self._rest)
