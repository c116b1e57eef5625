"""Features in halves, and weights of 8 bits that any processor adds up: in onnxruntime as on paper."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from models.edge import fitting
from models.edge.fitting import Fit, InFloat
from models.edge.halves import find_halves
from models.edge.int8 import fits_of, quantised
from models.edge.ranges import Range
from models.edge.whole_weights import PAIR_STEPS, cancelling, least_error_steps, partners_of


def chain(*layers):
    """ONNX of convolutions with ReLU between, from their weights and biases."""
    nodes, kept, name = [], [], "image"
    for index, arrays in enumerate(layers):
        read = [f"{each}_{index}" for each in ("kernel", "bias")]
        kept += [numpy_helper.from_array(np.float32(a), n) for a, n in zip(arrays, read, strict=True)]
        made = f"layer_{index}" if index < len(layers) - 1 else "restored"
        nodes.append(helper.make_node("Conv", [name, *read], [made], f"layer_{index}", pads=[1, 1, 1, 1]))
        if made != "restored":
            nodes.append(helper.make_node("Relu", [made], [f"relu_{index}"], f"relu_{index}"))
        name = f"relu_{index}"
    ends = [
        helper.make_tensor_value_info(each, TensorProto.FLOAT, ["batch", channels, "height", "width"])
        for each, channels in (("image", layers[0][0].shape[1]), ("restored", layers[-1][0].shape[0]))
    ]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], kept)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return proto.SerializeToString()


def run(content, image, in_float=False):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if in_float:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


@pytest.mark.parametrize("inner", [5, 6, 16])
def test_sums_of_weights_of_eight_bits_are_exact_in_onnxruntime(inner):
    rng = np.random.default_rng(inner)
    # Large neighbours of one sign, which 16 bits do not hold; the others keep the sums within the range.
    signs_I = np.where(np.arange(inner) // 4 % 2 == 0, 1.0, -0.45)
    kernel = rng.uniform(0.9, 1, (8, inner, 3, 3)) * signs_I[None, :, None, None]
    weights_OIhw = torch.from_numpy(kernel)
    weights_OK = weights_OIhw.flatten(1)
    partners_K = partners_of(weights_OIhw)
    steps_O = torch.full((8,), 1 / 127, dtype=torch.float64)
    spread_KK = torch.eye(weights_OK.shape[1], dtype=torch.float64)
    whole_OK = cancelling(weights_OK, spread_KK, steps_O, partners_K)
    as_added_OK = (whole_OK / steps_O[:, None]).view(8, inner, 3, 3).permute(0, 2, 3, 1).flatten(1).round()
    pairs_O2P = as_added_OK[:, : as_added_OK.shape[1] // 2 * 2].view(8, -1, 2).mT
    assert as_added_OK.abs().max() > 64, "more than 7 bits"
    for side in (1, -1):
        assert (side * pairs_O2P).clamp(min=0).sum(1).max() <= PAIR_STEPS
    layer = Fit(
        whole_OK.view(weights_OIhw.shape).float().numpy(),
        steps_O.float().numpy(),
        np.zeros(8, "f4"),
        Range(0.0, 1.0),
    )
    image = np.ones((1, inner, 12, 12), np.float32)
    content = quantised(chain((kernel, np.zeros(8))), [{"image": image}], (), {"layer_0": layer})
    found, expected = run(content, image), run(content, image, in_float=True)
    step = max(
        float(numpy_helper.to_array(each))
        for each in onnx.load_from_string(content).graph.initializer
        if each.name == "restored_scale"
    )
    assert np.abs(expected).max() > 100 * step
    np.testing.assert_allclose(found, expected, atol=1.01 * step)


def test_steps_are_as_large_as_neighbours_together_need():
    """For weights that are large one beside the other, and for one that is large alone."""
    for beside, expected in ((1.0, 2.0 / 128), (0.003, 1 / 127)):
        weights_OK = torch.tensor([[1.0, beside, 0.5, -0.5, 0.2]], dtype=torch.float64)
        found = least_error_steps(weights_OK, torch.tensor([1, 0, 3, 2, 4]))
        assert float(found[0]) == pytest.approx(expected, rel=0.03)


def wide_layers(seed=0, channels=16):
    """Two channels with a range some times that of the others, and two that say nothing."""
    rng = torch.Generator().manual_seed(seed)
    first_OIhw = torch.randn(channels, 3, 3, 3, generator=rng) * 0.2
    first_OIhw[:2] = first_OIhw[:2].abs() * 2
    reader_OIhw = torch.randn(channels, channels, 3, 3, generator=rng) * 0.1
    reader_OIhw[:, -2:] = 0
    return first_OIhw, torch.full((channels,), 0.1), reader_OIhw


def test_both_halves_together_are_what_they_were():
    first_OIhw, bias_O, reader_OIhw = wide_layers()
    image_1CHW = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    features_1IHW = F.conv2d(image_1CHW, first_OIhw, bias_O, padding=1).relu()
    halves = find_halves([features_1IHW], reader_OIhw, 255)
    assert halves is not None
    top = float(features_1IHW.amax())
    assert top / 2 <= halves.at < top
    assert set(halves.split_J.tolist()) == {0, 1}
    assert set(halves.places_J.tolist()) == {14, 15}
    made_1IHW = F.conv2d(image_1CHW, halves.of_maker(first_OIhw), halves.of_bias(bias_O), padding=1).relu()
    halved_1IHW = halves.of_features(features_1IHW)
    torch.testing.assert_close(made_1IHW.clamp(max=halves.at), halved_1IHW)
    whole, found = (
        F.conv2d(*each, padding=1)
        for each in ((features_1IHW, reader_OIhw), (halved_1IHW, halves.of_reader(reader_OIhw)))
    )
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)


def test_channels_that_are_alike_stay_whole():
    features_1IHW = torch.rand(1, 16, 24, 24, generator=torch.Generator().manual_seed(1))
    assert find_halves([features_1IHW], torch.ones(4, 16, 3, 3), 255) is None


@pytest.mark.parametrize("keep", [("layer_2",), ("layer_0", "layer_2")], ids=["of int8", "of float32"])
def test_halves_that_a_layer_makes_lose_less_than_whole_channels_on_other_images(keep, monkeypatch):
    first_OIhw, bias_O, reader_OIhw = wide_layers()
    content = chain((first_OIhw, bias_O), (reader_OIhw, bias_O), (reader_OIhw[:3], bias_O[:3]))
    rng = np.random.default_rng(2)
    calibration = [{"image": rng.random((1, 3, 64, 64), np.float32)} for _ in range(3)]
    fits = {"halves": fits_of(content, calibration, keep)}
    assert isinstance(fits["halves"]["layer_0"], InFloat if "layer_0" in keep else Fit)
    monkeypatch.setattr(fitting, "find_halves", lambda *_: None)
    fits["whole"] = fits_of(content, calibration, keep)
    image = rng.random((1, 3, 96, 96), np.float32)
    expected = run(content, image)
    lost = {
        name: np.square(run(quantised(content, calibration, keep, each), image) - expected).mean()
        for name, each in fits.items()
    }
    assert 0 < lost["halves"] < 0.8 * lost["whole"]


@pytest.mark.parametrize(("keep", "made"), [(("layer_3",), "relu_2"), ((), "restored")])
def test_what_others_read_of_int8_has_the_range_that_int8_shows(keep, made):
    """And not that of features which nothing cuts: there the lower of two halves has no end."""
    first_OIhw, bias_O, reader_OIhw = wide_layers()
    last = reader_OIhw[:3], bias_O[:3]
    content = chain((first_OIhw, bias_O), (reader_OIhw, bias_O), (reader_OIhw, bias_O), last)
    rng = np.random.default_rng(2)
    calibration = [{"image": rng.random((1, 3, 64, 64), np.float32)} for _ in range(3)]
    fits = fits_of(content, calibration, keep)
    proto = onnx.load_from_string(content)
    proto.graph.output[0].CopyFrom(helper.make_empty_tensor_value_info(made))
    shown = [run(proto.SerializeToString(), each["image"]) for each in calibration]
    width = max(each.max() for each in shown) - min(0.0, *(each.min() for each in shown))
    written = onnx.load_from_string(quantised(content, calibration, keep, fits))
    (step,) = (each for each in written.graph.initializer if each.name == f"{made}_scale")
    assert 0.4 * width < 255 * float(numpy_helper.to_array(step)) < 1.1 * width
