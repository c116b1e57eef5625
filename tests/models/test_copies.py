"""Copies of channels, and weights of 8 bits that any processor adds up: in onnxruntime as on paper."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from models.edge import fitting
from models.edge.copies import find_copies
from models.edge.fitting import Fit, InFloat
from models.edge.int8 import fits_of, quantised
from models.edge.ranges import Range
from models.edge.sensitivity import sensitivities
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


def carrying_layers(seed=0, channels=16):
    """Two channels that the reader listens to most, and four that say nothing."""
    rng = torch.Generator().manual_seed(seed)
    first_OIhw = torch.randn(channels, 3, 3, 3, generator=rng) * 0.2
    reader_OIhw = torch.randn(channels, channels, 3, 3, generator=rng) * 0.1
    reader_OIhw[:, :2] *= 10
    reader_OIhw[:, -4:] = 0
    return first_OIhw, torch.full((channels,), 0.1), reader_OIhw


def heard(reader_OIhw):
    return reader_OIhw.square().sum((0, 2, 3))


def test_copies_have_finer_steps_and_say_together_what_one_said():
    first_OIhw, bias_O, reader_OIhw = carrying_layers()
    image_1CHW = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    features_1IHW = F.conv2d(image_1CHW, first_OIhw, bias_O, padding=1).relu()
    reads = Range(0.0, float(features_1IHW.amax()))
    copies = find_copies([features_1IHW], heard(reader_OIhw), reads)
    assert copies is not None
    placed = [place for place, source in enumerate(copies.sources_I.tolist()) if place != source]
    assert placed == [12, 13, 14, 15]
    assert set(copies.sources_I[12:].tolist()) == {0, 1}
    made_1IHW = F.conv2d(image_1CHW, copies.of_maker(first_OIhw), copies.of_bias(bias_O), padding=1).relu()
    copied_1IHW = copies.of_features(features_1IHW)
    # But for what the lower ones cut at zero, and that rounds to zero.
    torch.testing.assert_close(reads.rounded(made_1IHW), reads.rounded(copied_1IHW))
    whole = F.conv2d(features_1IHW, reader_OIhw, padding=1)
    once, often = (
        float((F.conv2d(reads.rounded(x), weights, padding=1) - whole).square().mean())
        for x, weights in ((features_1IHW, reader_OIhw), (copied_1IHW, copies.of_reader(reader_OIhw)))
    )
    # Two to four copies of nearly all that is heard: a quarter to a sixteenth of the error.
    assert often < 0.3 * once


@pytest.mark.parametrize("count", [2, 3, 4])
def test_lifts_make_nothing_out_of_zero(count):
    """Copies of what is closed round to zero, those of what is open to parts of a step, without a bias."""
    step, reads = 1 / 255, Range(0.0, 1.0)
    values_1IHW = 0.9 * torch.rand(1, count, 64, 64, generator=torch.Generator().manual_seed(2))
    values_1IHW[:, 1:] = 0
    copies = find_copies([values_1IHW], torch.tensor([1.0] + [0.0] * (count - 1)), reads)
    assert copies is not None
    assert copies.counts_I.tolist() == [count] * count
    assert float(reads.rounded(copies.of_features(torch.zeros_like(values_1IHW))).abs().max()) == 0
    missed = reads.rounded(copies.of_features(values_1IHW)).mean(1) - values_1IHW[:, 0]
    assert float(missed.abs().max()) <= 0.501 * step / count
    assert abs(float(missed.mean())) < 0.02 * step


def test_channels_of_which_none_says_little_stay_as_they_are():
    features_1IHW = torch.rand(1, 16, 24, 24, generator=torch.Generator().manual_seed(1))
    assert find_copies([features_1IHW], torch.ones(16), Range(0.0, 1.0)) is None


def test_sensitivity_is_what_noise_changes_in_the_end():
    """Through layers that are open everywhere, beside noise that is sent through onnxruntime."""
    _, bias_O, reader_OIhw = carrying_layers()
    first = torch.zeros(16, 16, 3, 3)
    first[range(16), range(16), 1, 1] = torch.linspace(0.5, 2, 16)
    content = chain((first, bias_O + 100), (reader_OIhw, bias_O + 1000), (reader_OIhw[:3], bias_O[:3]))
    proto = onnx.load_from_string(content)
    found_I = sensitivities(onnx, proto.graph, {})["image"]
    rng = np.random.default_rng(0)
    still = np.ones((1, 16, 96, 96), np.float32)
    expected = run(content, still)
    for channel in (0, 7, 12):
        noisy = still.copy()
        noisy[:, channel] += rng.normal(0, 1, (96, 96))
        changed = np.square(run(content, noisy) - expected).mean() * 3
        assert float(found_I[channel]) == pytest.approx(changed, rel=0.5, abs=1e-6)


@pytest.mark.parametrize("keep", [("layer_2",), ("layer_0", "layer_2")], ids=["of int8", "of float32"])
def test_copies_that_a_layer_makes_lose_less_than_single_channels_on_other_images(keep, monkeypatch):
    first_OIhw, bias_O, reader_OIhw = carrying_layers()
    content = chain((first_OIhw, bias_O), (reader_OIhw, bias_O), (reader_OIhw[:3], bias_O[:3]))
    rng = np.random.default_rng(2)
    calibration = [{"image": rng.random((1, 3, 64, 64), np.float32)} for _ in range(3)]
    fits = {"copies": fits_of(content, calibration, keep)}
    assert isinstance(fits["copies"]["layer_0"], InFloat if "layer_0" in keep else Fit)
    monkeypatch.setattr(fitting, "find_copies", lambda *_: None)
    fits["single"] = fits_of(content, calibration, keep)
    image = rng.random((1, 3, 96, 96), np.float32)
    expected = run(content, image)
    lost = {
        name: np.square(run(quantised(content, calibration, keep, each), image) - expected).mean()
        for name, each in fits.items()
    }
    assert 0 < lost["copies"] < 0.8 * lost["single"]


@pytest.mark.parametrize(("keep", "made"), [(("layer_3",), "relu_2"), ((), "restored")])
def test_what_others_read_of_int8_has_the_range_that_int8_shows(keep, made):
    """And not that of features which nothing cuts."""
    first_OIhw, bias_O, reader_OIhw = carrying_layers()
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
