"""Weights of whole numbers whose errors cancel on what their layer sees, and the range that serves it best.

A layer's weights are fitted by least squares to give, from rounded features, what the layer gives from
exact ones; then they are rounded (``models.edge.whole_weights``). Features beyond the range are cut where
that costs less than larger steps would, and channels that say most come in copies
(``models.edge.copies``). Nothing is trained.

Shapes: O filters, K weights of a filter, P places; I inputs, h and w sides of a kernel.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.edge.copies import Copies, find_copies
from models.edge.ranges import Range
from models.edge.sensitivity import sensitivities
from models.edge.whole_weights import cancelling, least_error_steps, partners_of

MOST_WEIGHTS = 2500
"""Of a filter that is fitted: of more, the matrices of a layer would take minutes and gigabytes."""
_RIDGE = 1e-3
"""Of the mean square of what a weight sees: keeps the fit near the weights where the images say little."""
_SOME = 3
"""Of so many calls, one tells how often each ReLU is open."""


Call = Mapping[str, NDArray[np.float32]]
"""One call of the graph: input -> array."""


@dataclass(frozen=True)
class Fit:
    """One convolution as int8 will have it."""

    weights_OIhw: NDArray[np.float32]
    """Whole multiples of the filter's step, 127 at most."""
    steps_O: NDArray[np.float32]
    bias_O: NDArray[np.float32]
    reads: Range
    makes: Mapping[str, Range] = field(default_factory=dict)
    """For others than layers in int8, by tensor; by ReLU where one follows."""

    def with_copies(self, copies: Copies) -> Fit:
        """It makes the copies that the layer after it reads; exactly, since whole filters are copied."""
        weights_OIhw, steps_O = (
            copies.of_maker(torch.from_numpy(each)).numpy() for each in (self.weights_OIhw, self.steps_O)
        )
        bias_O = copies.of_bias(torch.from_numpy(self.bias_O)).numpy()
        return replace(self, weights_OIhw=weights_OIhw, steps_O=steps_O, bias_O=bias_O)


@dataclass(frozen=True)
class InFloat:
    """A convolution that stays float32, and makes copies for the layer after it."""

    weights_OIhw: NDArray[np.float32]
    bias_O: NDArray[np.float32]

    def with_copies(self, copies: Copies) -> InFloat:
        """As ``Fit.with_copies``."""
        weights_OIhw = copies.of_maker(torch.from_numpy(self.weights_OIhw)).numpy()
        return InFloat(weights_OIhw, copies.of_bias(torch.from_numpy(self.bias_O)).numpy())


_UNSEEN = Range(0.0, 0.0)


@dataclass
class _Layer:
    """A convolution that can be fitted, and what was seen of it."""

    node: Any
    weights_OIhw: Tensor
    bias_O: Tensor
    how: dict[str, Any]
    """Stride, padding and dilation as PyTorch names them."""
    reads: Range = _UNSEEN
    copies: Copies | None = None
    """In what it reads."""
    gram_KK: Tensor | None = None
    target_OK: Tensor | None = None

    def copied(self, light_1IHW: Tensor) -> Tensor:
        """What it reads in int8, with copies."""
        return light_1IHW if self.copies is None else self.copies.of_features(light_1IHW)

    def see(self, features_1IHW: Tensor, light_1IHW: Tensor) -> None:
        """Adds up the products that the fit needs, of exact features and of those of layers in int8.

        The last of K is the bias.
        """
        exact_1OP = F.conv2d(features_1IHW, self.weights_OIhw, self.bias_O, **self.how).flatten(2)
        light_1IHW = self.copied(light_1IHW)
        rounded = self.reads.rounded(light_1IHW)
        columns_KP = F.unfold(rounded, self.weights_OIhw.shape[2:], **self.how)[0]
        columns_KP = torch.cat([columns_KP, torch.ones_like(columns_KP[:1])])
        gram_KK, target_OK = columns_KP @ columns_KP.mT, exact_1OP[0] @ columns_KP.mT
        if self.gram_KK is None or self.target_OK is None:
            self.gram_KK, self.target_OK = gram_KK.double(), target_OK.double()
        else:
            self.gram_KK += gram_KK
            self.target_OK += target_OK

    def fit(self) -> Fit:
        """Least squares, whole numbers, and the bias that suits them."""
        assert self.gram_KK is not None
        assert self.target_OK is not None
        gram_KK = self.gram_KK
        weights_OIhw = self.weights_OIhw if self.copies is None else self.copies.of_reader(self.weights_OIhw)
        given_OK = torch.cat([weights_OIhw.flatten(1), self.bias_O[:, None]], 1).double()
        ridge_KK = torch.eye(len(gram_KK), dtype=torch.float64) * (_RIDGE * gram_KK.diagonal().mean())
        fitted_OK = torch.linalg.solve(gram_KK + ridge_KK, (self.target_OK + given_OK @ ridge_KK).mT).mT
        weights_OK, bias_O = fitted_OK[:, :-1], fitted_OK[:, -1]
        means_K, count = gram_KK[:-1, -1], gram_KK[-1, -1]
        # A bias makes good whatever the mean of the features says.
        spread_KK = gram_KK[:-1, :-1] - torch.outer(means_K, means_K) / count
        partners_K = partners_of(weights_OIhw)
        steps_O = least_error_steps(weights_OK, partners_K)
        whole_OK = cancelling(weights_OK, spread_KK, steps_O, partners_K)
        bias_O = bias_O + (weights_OK - whole_OK) @ means_K / count
        arrays = (whole_OK.view(weights_OIhw.shape), steps_O, bias_O)
        weights, steps, bias = (each.float().numpy() for each in arrays)
        return Fit(weights, steps, bias, self.reads)


def fitted_layers(
    content: bytes, calibration: Sequence[Call], names: Iterable[str]
) -> dict[str, Fit | InFloat]:
    """For the convolutions among the nodes ``names``: how int8 serves them best on these calls of the graph.

    One after the other, each on what those before it make of the images once they are rounded, so that it
    makes good what they miss. Left out are what has groups, shared weights, no bias or uneven padding, and
    filters of more than ``MOST_WEIGHTS``. Others are there where they make copies for one of ``names``.
    """
    onnx = importlib.import_module("onnx")
    exact, light = onnx.load_from_string(content), onnx.load_from_string(content)
    fits: dict[str, Fit | InFloat] = {}
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        heard = sensitivities(onnx, exact.graph, _open_shares(onnx, exact, calibration[::_SOME]))
        for layer in _layers(onnx, exact.graph, set(names)):
            read = layer.node.input[0]
            # The nodes that round come between, so that the layer reads what they make of the same name.
            pairs = zip(
                _read(onnx, exact, read, calibration), _read(onnx, light, read, calibration), strict=True
            )
            seen = [(torch.from_numpy(x), torch.from_numpy(x_light)) for x, x_light in pairs]
            light_seen = [each for _, each in seen]
            layer.reads = Range.shown_by(light_seen, rng, heard[read])
            maker = _maker_of(light.graph, read)
            if maker is not None:
                layer.copies = find_copies(light_seen, heard[read], layer.reads)
            if maker is not None and layer.copies is not None:
                made = fits.get(maker.name) or _as_it_is(onnx, light.graph, maker)
                fits[maker.name] = made = made.with_copies(layer.copies)
                put_weights(onnx, light.graph, maker, made)
            for features_1IHW, light_1IHW in seen:
                layer.see(features_1IHW, light_1IHW)
            fits[layer.node.name] = fit = layer.fit()
            _put(onnx, light.graph, layer.node.name, fit)
        # What others read of layers in int8 is rounded too. onnxruntime would look for its range in features
        # that nothing cuts.
        for name, fit, made_for_others in _left_over(exact.graph, fits):
            read = [torch.from_numpy(each) for each in _read(onnx, light, made_for_others, calibration)]
            fits[name] = replace(fit, makes={made_for_others: Range.shown_by(read, rng)})
    return fits


def _open_shares(onnx: Any, proto: Any, calibration: Sequence[Call]) -> dict[str, Tensor]:
    """For each channel that a ReLU after a convolution makes, the share of places where it is not zero."""
    filters = {node.output[0] for node in proto.graph.node if node.op_type == "Conv"}
    shares = {}
    for node in proto.graph.node:
        if node.op_type == "Relu" and node.input[0] in filters:
            seen = [torch.from_numpy(each) for each in _read(onnx, proto, node.output[0], calibration)]
            shares[node.output[0]] = torch.stack([(each > 0).float().mean((0, 2, 3)) for each in seen]).mean(
                0
            )
    return shares


def _read(onnx: Any, proto: Any, name: str, calibration: Sequence[Call]) -> list[NDArray[np.float32]]:
    """What the tensor ``name`` is in each call."""
    if name in {each.name for each in proto.graph.input}:
        return [each[name] for each in calibration]
    part = onnx.ModelProto()
    part.CopyFrom(proto)
    del part.graph.output[:]
    part.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    # As it stands: rounded features times whole weights, in float32 as the fit has them.
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = runtime.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
    taken = {each.name for each in session.get_inputs()}
    calls = ({key: array for key, array in each.items() if key in taken} for each in calibration)
    return [session.run([name], each)[0] for each in calls]


def _put(onnx: Any, graph: Any, name: str, fit: Fit) -> None:
    """The layer as fitted, with nodes before it that round what it reads."""
    (at,) = (index for index, node in enumerate(graph.node) if node.name == name)
    node = graph.node[at]
    made, whole, step, zero = (f"{name}_{each}" for each in ("rounded", "whole", "step", "zero"))
    put_weights(onnx, graph, node, fit)
    graph.initializer.append(onnx.numpy_helper.from_array(fit.reads.step, step))
    graph.initializer.append(onnx.numpy_helper.from_array(fit.reads.zero, zero))
    make = onnx.helper.make_node
    graph.node.insert(at, make("DequantizeLinear", [whole, step, zero], [made]))
    graph.node.insert(at, make("QuantizeLinear", [node.input[0], step, zero], [whole]))
    node.input[0] = made


def put_weights(onnx: Any, graph: Any, node: Any, fit: Fit | InFloat) -> None:
    """The fitted weights and biases in place of the node's own."""
    known = {each.name: each for each in graph.initializer}
    _, weights, bias = node.input
    known[weights].CopyFrom(onnx.numpy_helper.from_array(fit.weights_OIhw, weights))
    known[bias].CopyFrom(onnx.numpy_helper.from_array(fit.bias_O, bias))


def _maker_of(graph: Any, name: str) -> Any:
    """The convolution of whose result ReLU makes this for one layer alone; ``None`` where none does."""
    makers = {each: node for node in graph.node for each in node.output}
    readers = [each for node in graph.node for each in node.input]
    relu = makers.get(name)
    if relu is None or relu.op_type != "Relu" or readers.count(name) > 1:
        return None
    maker = makers.get(relu.input[0])
    if maker is None or readers.count(relu.input[0]) > 1:
        return None
    return maker if _has_weights_of_its_own(graph, maker) else None


def _as_it_is(onnx: Any, graph: Any, node: Any) -> InFloat:
    known = {each.name: each for each in graph.initializer}
    return InFloat(*(onnx.numpy_helper.to_array(known[each]).copy() for each in node.input[1:]))


def _has_weights_of_its_own(graph: Any, node: Any) -> bool:
    """Whether it is a convolution with weights and biases that no other node reads."""
    known = {each.name for each in graph.initializer}
    readers = [name for each in graph.node for name in each.input]
    if node.op_type != "Conv" or len(node.input) != 3:
        return False
    return all(each in known and readers.count(each) == 1 for each in node.input[1:])


def _layers(onnx: Any, graph: Any, names: set[str]) -> list[_Layer]:
    known = {each.name: each for each in graph.initializer}
    found = []
    for node in graph.node:
        if node.name not in names or not _has_weights_of_its_own(graph, node):
            continue
        said = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        weights_OIhw = torch.from_numpy(onnx.numpy_helper.to_array(known[node.input[1]]).copy())
        pads = said.get("pads", [0, 0, 0, 0])
        is_plain = said.get("group", 1) == 1 and said.get("auto_pad", b"NOTSET") == b"NOTSET"
        if not is_plain or pads[:2] != pads[2:] or weights_OIhw.dim() != 4:
            continue
        if weights_OIhw[0].numel() > MOST_WEIGHTS:
            continue
        how = {
            "padding": tuple(pads[:2]),
            "stride": tuple(said.get("strides", (1, 1))),
            "dilation": tuple(said.get("dilations", (1, 1))),
        }
        bias_O = torch.from_numpy(onnx.numpy_helper.to_array(known[node.input[2]]).copy())
        found.append(_Layer(node, weights_OIhw, bias_O, how))
    return found


def _left_over(graph: Any, fits: Mapping[str, Fit | InFloat]) -> list[tuple[str, Fit, str]]:
    """Fitted layers, and what they make, by ReLU where one follows, for others alone."""
    fitted = [(each, fit) for each in graph.node if isinstance(fit := fits.get(each.name), Fit)]
    read = {each.input[0] for each, _ in fitted}
    cut = {each.input[0]: each.output[0] for each in graph.node if each.op_type == "Relu"}
    made = [(each.name, fit, cut.get(each.output[0], each.output[0])) for each, fit in fitted]
    return [each for each in made if each[2] not in read]
