"""Slopes in other operators: the same numbers, and nothing but int8 between two layers of int8."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.edge.int8 import quantised
from models.edge.onnx_model import build_from_onnx
from models.edge.slopes import quick_slopes, sloped_layers, with_one_slope
from tests.pipeline.edge.test_compress import CARD
from tests.restorer_contract import scene


def graph_with(slopes, reused=False):
    """Convolution, PReLU, convolution; the slopes may be read again at the end."""
    rng = np.random.default_rng(5)
    kernels = [rng.normal(0, 0.2, shape).astype(np.float32) for shape in ((4, 3, 3, 3), (3, 4, 3, 3))]
    weights = [numpy_helper.from_array(each, f"kernel_{i}") for i, each in enumerate(kernels)]
    weights.append(numpy_helper.from_array(np.array(slopes, np.float32).reshape(4, 1, 1), "slopes"))
    make = helper.make_node
    nodes = [
        make("Conv", ["image", "kernel_0"], ["first"], "layer_0", pads=[1, 1, 1, 1]),
        make("PRelu", ["first", "slopes"], ["bent"], "prelu"),
        make("Conv", ["bent", "kernel_1"], ["restored"], "layer_1", pads=[1, 1, 1, 1]),
    ]
    shape = ["batch", 3, "height", "width"]
    ends = [helper.make_tensor_value_info(each, TensorProto.FLOAT, shape) for each in ("image", "restored")]
    if reused:
        nodes[2].output[0] = "second"
        nodes.append(make("ReduceMean", ["bent"], ["mean"], "mean"))
        nodes.append(make("Add", ["second", "mean"], ["restored"], "added"))
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    proto.metadata_props.add(key="card", value=CARD.to_json())
    return proto.SerializeToString()


def kinds(content):
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


def image():
    return scene(3, 40, 52) - 0.4


def restored(content):
    return build_from_onnx(content).model(image(), None)


SLOPES = (0.2, -0.5, 1.0, 0.0)


def test_maxima_are_prelu_bit_for_bit_where_no_slope_is_above_one():
    content = graph_with(SLOPES)
    quick = quick_slopes(content)
    assert kinds(quick) == ["Conv", "Mul", "Max", "Conv"]
    assert restored(quick).equal(restored(content))
    steep = graph_with((0.2, 1.5, 0.1, 0.0))
    assert kinds(quick_slopes(steep)) == ["Conv", "PRelu", "Conv"]


@pytest.mark.parametrize("first", [lambda content: content, quick_slopes], ids=["prelu", "max"])
def test_slopes_are_taken_into_the_next_layer(first):
    content = graph_with(SLOPES)
    whole, added = sloped_layers(first(content))
    assert kinds(whole) == ["Conv", "Relu", "Concat", "Conv"]
    assert added == {"layer_1": ["layer_1_cut", "layer_1_both"]}
    assert float((restored(whole) - restored(content)).abs().max()) < 1e-5
    light = quantised(first(content), [{"image": image().numpy()}])
    between = kinds(light)[kinds(light).index("Conv") + 1 : -1 - kinds(light)[::-1].index("Conv")]
    assert set(between) <= {"QuantizeLinear", "DequantizeLinear", "Relu", "Concat"}
    assert float((restored(light) - restored(content)).norm() / restored(content).norm()) < 0.05
    kept = quantised(first(content), [{"image": image().numpy()}], keep=["layer_1"])
    assert float((restored(kept) - restored(content)).norm() / restored(content).norm()) < 0.05


@pytest.mark.parametrize("first", [lambda content: content, quick_slopes], ids=["prelu", "max"])
def test_one_slope_is_a_table_between_two_layers_of_int8(first):
    content = first(graph_with((0.25,) * 4))
    shared = with_one_slope(content)
    assert kinds(shared) == ["Conv", "LeakyRelu", "Conv"]
    assert float((restored(shared) - restored(content)).abs().max()) < 1e-6
    assert with_one_slope(shared) == shared
    light = quantised(shared, [{"image": image().numpy()}])
    between = kinds(light)[kinds(light).index("Conv") + 1 : -1 - kinds(light)[::-1].index("Conv")]
    assert set(between) == {"QuantizeLinear", "DequantizeLinear", "LeakyRelu"}
    assert float((restored(light) - restored(content)).norm() / restored(content).norm()) < 0.05
    kept = quantised(shared, [{"image": image().numpy()}], keep=["layer_0", "layer_1"])
    assert restored(kept).equal(restored(shared))
    assert float(with_mean(SLOPES).sub(restored(with_one_slope(graph_with(SLOPES)))).abs().max()) < 1e-6


def with_mean(slopes):
    return restored(graph_with([float(np.mean(slopes))] * 4))


def test_slopes_that_others_read_too_stay_where_they_are():
    content = graph_with(SLOPES, reused=True)
    whole, added = sloped_layers(content)
    assert (kinds(whole), added) == (kinds(content), {})
