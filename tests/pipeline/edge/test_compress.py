"""Networks in int8: what is lost and gained is measured and in the card; what has no int8 is refused."""

import dataclasses

import numpy as np
import onnx
import pytest
import skimage.data
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from models.card import Card
from models.edge.int8 import fits_of, int8_layers, quantised
from models.edge.onnx_model import build_from_onnx
from pipeline.edge import int8
from pipeline.edge.compress import compress
from pipeline.edge.compressed import Images, Limits
from pipeline.errors import JobError
from pipeline.recipe.weights import fetch_restorer
from tests.restorer_contract import scene

CARD = Card(name="small", summary="Small.", task="denoising", channels=3, halo=3)


def graph_of(*layers, biased=False):
    """ONNX by hand, which costs nothing: convolutions of 3 x 3, then what is added to the image."""
    rng = np.random.default_rng(3)
    nodes, weights, name, inner = [], [], "image", 3
    for index, (kind, outer) in enumerate(layers):
        shape = (outer, inner, 3, 3) if kind == "Conv" else (inner, outer, 3, 3)
        kernel = rng.normal(0, 0.1, shape).astype(np.float32)
        kernel[0] *= 4  # channels of different sizes are what scales per channel are for
        weights.append(numpy_helper.from_array(kernel, f"kernel_{index}"))
        last = index == len(layers) - 1
        made = f"layer_{index}"
        read = [name, f"kernel_{index}"]
        if biased:
            bias = rng.normal(0, 0.1, outer).astype(np.float32)
            weights.append(numpy_helper.from_array(bias, f"bias_{index}"))
            read.append(f"bias_{index}")
        nodes.append(helper.make_node(kind, read, [made], made, pads=[1, 1, 1, 1]))
        if not last:
            nodes.append(helper.make_node("Relu", [made], [f"relu_{index}"], f"relu_{index}"))
        name, inner = made if last else f"relu_{index}", outer
    if layers:
        weights.append(numpy_helper.from_array(np.float32(0.0005), "small"))
        nodes.append(helper.make_node("Mul", [name, "small"], ["scaled"], "scaled"))
        name = "scaled"
    nodes.append(helper.make_node("Add", [name, "image"], ["restored"], "added"))
    shape = ["batch", 3, "height", "width"]
    ends = [helper.make_tensor_value_info(each, TensorProto.FLOAT, shape) for each in ("image", "restored")]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    proto.metadata_props.add(key="card", value=CARD.to_json())
    return proto.SerializeToString()


SMALL = graph_of(("Conv", 8), ("Conv", 8), ("Conv", 3))
BIASED = graph_of(("Conv", 16), ("Conv", 16), ("Conv", 16), ("Conv", 3), biased=True)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("astronaut", "coffee"):
        pixels = np.ascontiguousarray(getattr(skimage.data, name)()[100:164, 80:152])
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    (tmp_path / "small.onnx").write_bytes(SMALL)
    return tmp_path


def compressed(place, degradation="awgn-25", side=64, method="int8", **limits):
    images = Images(str(place / "photos"), degradation, 2, side)
    target = place / "light.onnx"
    return compress(
        str(place / "small.onnx"), method, images, target, Limits(**{"least_speedup": 0.0} | limits)
    )


def test_what_is_written_is_what_was_measured(place):
    done = compressed(place, most_loss=99.0)
    light = fetch_restorer(str(done.file))
    facts = light.card.training["compressed"]
    assert (light.card.name, done.layers, done.kept) == ("small-int8", 3, 0)
    assert facts["psnr"] == round(done.after, 3)
    assert facts["psnr_float32"] == round(done.before, 3)
    assert facts["times_float32"] == done.speedup > 0
    assert done.size == done.file.stat().st_size
    rest = dataclasses.replace(light.card, name="small", summary="Small.", training={}, weights_sha256="")
    assert rest == CARD
    image_BCHW = scene(3, 40, 52, batch=2)
    plain = build_from_onnx(SMALL)
    expected, found = plain(image_BCHW), light(image_BCHW)
    # What int8 changes, beside what the network does to the image: a tenth is 20 dB.
    share = float((found - expected).norm() / (expected - image_BCHW).norm())
    assert 0 < share < 0.1


def test_weights_have_a_scale_for_each_channel_and_named_layers_stay_float():
    calibration = [{"image": scene(3, 48, 48).numpy()}]
    layers = int8_layers(SMALL)
    proto = onnx.load_from_string(quantised(SMALL, calibration, keep=layers[:1]))
    scales = {each.name: each.dims for each in proto.graph.initializer if each.name.endswith("_scale")}
    assert [list(scales[f"kernel_{index}_scale"]) for index in (1, 2)] == [[8], [3]]
    kinds = {each.name: each.data_type for each in proto.graph.initializer}
    assert kinds["kernel_0"] == TensorProto.FLOAT
    assert kinds["kernel_1_quantized"] == TensorProto.INT8
    (bits,) = [numpy_helper.to_array(e) for e in proto.graph.initializer if e.name == "kernel_1_quantized"]
    assert np.abs(bits).max() <= 64, "a bit is left for sums on processors that would overflow"


def test_fitted_layers_lose_less_than_rounded_ones_on_other_images():
    calibration = [{"image": each[None].numpy()} for each in scene(3, 64, 64, batch=4)]
    layers = int8_layers(BIASED)
    fits = fits_of(BIASED, calibration, keep=layers[-1:])
    assert list(fits) == layers[:-1]
    image_BCHW = scene(3, 96, 96, batch=6)[4:].flip(3)
    expected = build_from_onnx(BIASED)(image_BCHW)
    lost = {}
    for name, used in (("rounded", None), ("fitted", fits)):
        light = build_from_onnx(quantised(BIASED, calibration, layers[-1:], used))
        lost[name] = float((light(image_BCHW) - expected).square().mean())
    assert 0 < lost["fitted"] < 0.6 * lost["rounded"]


def test_fitted_weights_are_in_the_file_to_the_last_step():
    calibration = [{"image": scene(3, 64, 64).numpy()}]
    fits = fits_of(BIASED, calibration)
    proto = onnx.load_from_string(quantised(BIASED, calibration, (), fits))
    found = {each.name: numpy_helper.to_array(each) for each in proto.graph.initializer}
    for index, fit in enumerate(fits.values()):
        whole = found[f"kernel_{index}_quantized"]
        assert 64 < np.abs(whole).max() <= 127
        as_added_OK = whole.astype(int).transpose(0, 2, 3, 1).reshape(len(whole), -1)
        pairs_OP2 = as_added_OK[:, : as_added_OK.shape[1] // 2 * 2].reshape(len(whole), -1, 2)
        for side in (1, -1):
            together = (side * pairs_OP2).clip(min=0).sum(2).max()
            assert together <= 128, "products of two neighbours fit 16 bits"
        np.testing.assert_array_equal(found[f"kernel_{index}_scale"], fit.steps_O)
        np.testing.assert_allclose(whole * fit.steps_O[:, None, None, None], fit.weights_OIhw, rtol=1e-6)


def test_nothing_is_rounded_between_a_layer_and_its_relu():
    proto = onnx.load_from_string(quantised(SMALL, [{"image": scene(3, 48, 48).numpy()}]))
    rounding = [each for each in proto.graph.node if each.op_type == "QuantizeLinear"]
    assert len(rounding) == 4, "what each of three layers reads, and what the last one makes"
    assert "Relu" not in {each.op_type for each in proto.graph.node}
    kept = onnx.load_from_string(quantised(SMALL, [{"image": scene(3, 48, 48).numpy()}], int8_layers(SMALL)))
    assert [each.op_type for each in kept.graph.node].count("Relu") == 2, "those of float32 layers stay"


def bent(slope_of_unread):
    """The image through PReLU that leaves it as it is; a fourth channel, which no one listens to, has another
    slope."""
    first_OIhw, last_OIhw = np.zeros((4, 3, 1, 1), "f4"), np.zeros((3, 4, 1, 1), "f4")
    first_OIhw[range(3), range(3)] = last_OIhw[range(3), range(3)] = 1
    slopes = np.float32([1, 1, 1, slope_of_unread]).reshape(4, 1, 1)
    arrays = {"kernel_0": first_OIhw, "kernel_1": last_OIhw, "slopes": slopes}
    arrays |= {"bias_0": np.full(4, -0.5, "f4"), "bias_1": np.full(3, 0.5, "f4")}
    nodes = [
        helper.make_node("Conv", ["image", "kernel_0", "bias_0"], ["first"], "layer_0"),
        helper.make_node("PRelu", ["first", "slopes"], ["bent"], "prelu"),
        helper.make_node("Conv", ["bent", "kernel_1", "bias_1"], ["restored"], "layer_1"),
    ]
    shape = ["batch", 3, "height", "width"]
    ends = [helper.make_tensor_value_info(each, TensorProto.FLOAT, shape) for each in ("image", "restored")]
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "bent", ends[:1], ends[1:], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    proto.metadata_props.add(key="card", value=CARD.to_json())
    return proto.SerializeToString()


def kinds_written(place):
    return {node.op_type for node in onnx.load(place / "light.onnx").graph.node}


def test_one_slope_is_taken_only_where_it_loses_little(place):
    """Else each channel keeps its own, in the layer after them."""
    (place / "small.onnx").write_bytes(bent(0.98))
    compressed(place, most_loss=2.0)
    assert "LeakyRelu" in kinds_written(place)
    (place / "small.onnx").write_bytes(bent(-1.0))
    done = compressed(place, most_loss=2.0)
    assert "LeakyRelu" not in kinds_written(place)
    assert "Concat" in kinds_written(place)
    assert done.loss < 0.5


def test_where_int8_loses_too_much_with_one_slope_it_is_tried_with_slopes_of_each_channel(place, monkeypatch):
    (place / "small.onnx").write_bytes(bent(0.7))
    monkeypatch.setattr(int8, "_SHARE_OF_SLOPES", 99.0)
    with_one = compressed(place, most_loss=99.0)
    assert "LeakyRelu" in kinds_written(place)
    # Rounded or fitted, what one slope bends stays bent.
    of_each = compressed(place, most_loss=with_one.loss / 3)
    assert "Concat" in kinds_written(place)
    assert of_each.loss < with_one.loss / 3


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [("Conv", 8), ("ConvTranspose", 3)],
            r"there is no int8 for layer_1 \(ConvTranspose\); run .* float32",
        ),
        ([], "no convolution or matrix product with weights"),
    ],
)
def test_layers_that_have_no_int8_are_refused_by_name(place, layers, message):
    (place / "small.onnx").write_bytes(graph_of(*layers) if layers else doubled())
    with pytest.raises(JobError, match=rf"small\.onnx: .*{message}"):
        compressed(place)


def doubled():
    proto = onnx.load_from_string(SMALL)
    del proto.graph.node[:]
    del proto.graph.initializer[:]
    proto.graph.node.append(helper.make_node("Add", ["image", "image"], ["restored"], "added"))
    return proto.SerializeToString()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"most_loss": -50.0},
            r"loses more than -50 dB: 3 of 3 layers .* dB; 1 of 3 layers .* dB; nothing is",
        ),
        (
            {"least_speedup": 1e6, "most_loss": 99.0},
            r"gains nothing on this CPU: 3 of 3 layers .* dB, and then .* x float32",
        ),
        ({"degradation": None}, r"small: say with --degradation what it restores"),
        ({"method": "int4"}, r'unknown method "int4"; did you mean "int8"\?'),
    ],
)
def test_what_is_no_gain_is_said_with_its_figures_and_not_written(place, changed, message):
    with pytest.raises(JobError, match=message):
        compressed(place, **changed)
    assert not (place / "light.onnx").exists()


def test_what_is_int8_already_is_refused_by_the_files_name(place):
    (place / "small.onnx").write_bytes(quantised(SMALL, [{"image": scene(3, 48, 48).numpy()}]))
    with pytest.raises(JobError, match=r"small\.onnx: it is int8 already; give what it was made from"):
        compressed(place)


def test_a_folder_without_images_is_named(place):
    for each in (place / "photos").iterdir():
        each.write_bytes(b"no image")
    with pytest.raises(JobError, match=r"--data: .*photos: no image can be scored\. images/.*png"):
        compressed(place)
