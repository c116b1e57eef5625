"""Released restorers: read from their package's files, refused with the command where it is not there."""

import importlib.util
import re

import msgpack
import pytest
import torch
from torch import nn

from models import catalog
from models.networks import build_network
from models.weights.ncnn import HALF_PRECISION, MAGIC, fill_from_ncnn
from models.weights.released import RELEASED, build_released

NAME = "real-esrgan-video-x4"


def write_ncnn(stem, network):
    """The network in ncnn's two files, as ncnn's own converter writes them: kernels in half precision."""
    lines, data = ["Input in 0 1 data"], b""
    for index, buffer in enumerate(network.buffers()):
        lines.append(f"MemoryData m{index} 0 1 a 0=1 1=1 2={buffer.numel()}")
        data += buffer.numpy().astype("<f4").tobytes()
    for index, layer in enumerate(
        each for each in network.modules() if isinstance(each, nn.Conv2d | nn.PReLU)
    ):
        if isinstance(layer, nn.PReLU):
            lines.append(f"PReLU p{index} 1 1 a b 0={layer.weight.numel()}")
            data += layer.weight.detach().numpy().astype("<f4").tobytes()
            continue
        lines.append(
            f"Convolution c{index} 1 1 a b 0={layer.out_channels} 1=3 4=1 5=1 6={layer.weight.numel()}"
        )
        kernel = layer.weight.detach().numpy().astype("<f2").tobytes()
        data += HALF_PRECISION.to_bytes(4, "little") + kernel + b"\0" * (-len(kernel) % 4)
        data += layer.bias.detach().numpy().astype("<f4").tobytes()
    stem.with_suffix(".param").write_text("\n".join([MAGIC, f"{len(lines)} {len(lines)}", *lines]))
    stem.with_suffix(".bin").write_bytes(data)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The package of the released weights, with weights of our own in it."""
    monkeypatch.syspath_prepend(tmp_path)
    released = RELEASED[NAME]
    stem = (tmp_path / released.package / released.path).with_suffix("")
    stem.parent.mkdir(parents=True)
    (tmp_path / released.package / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    torch.manual_seed(0)
    network = build_network(released.architecture, released.arguments)
    write_ncnn(stem, network)
    return stem, network


def test_the_files_become_the_weights_of_our_network(package):
    _, network = package
    restorer = catalog.build(NAME)
    found = restorer.model.network.state_dict()
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-6)
    assert restorer.card.halo == 18
    assert restorer.card.tile_exact
    assert restorer.card.licence == "BSD-3-Clause"
    assert len(catalog.identity(restorer)) == 64
    assert NAME in {card.name for card in catalog.describe_others()}
    assert NAME not in {card.name for card in catalog.describe()}, "the page is the same wherever it is made"


def test_damaged_files_are_refused(package):
    stem, _ = package
    whole = stem.with_suffix(".bin").read_bytes()
    stem.with_suffix(".bin").write_bytes(whole[:-8])
    with pytest.raises(ValueError, match="ends early"):
        build_released(NAME)
    stem.with_suffix(".bin").write_bytes(whole + b"\0" * 4)
    with pytest.raises(ValueError, match="4 bytes belong to no layer"):
        build_released(NAME)
    with pytest.raises(ValueError, match="35 layers with weights, the network has"):
        fill_from_ncnn(nn.Conv2d(3, 3, 3), stem.with_suffix(".param"), stem.with_suffix(".bin"))
    stem.with_suffix(".param").write_text("no graph")
    with pytest.raises(ValueError, match="no graph of ncnn"):
        build_released(NAME)


def test_constants_of_a_graph_must_be_the_networks(tmp_path):
    torch.manual_seed(0)
    network, stem = build_network("span", {"features": 4, "scale": 2}), tmp_path / "span"
    files = stem.with_suffix(".param"), stem.with_suffix(".bin")
    write_ncnn(stem, network)
    found = build_network("span", {"features": 4, "scale": 2})
    fill_from_ncnn(found, *files)
    image_BCHW = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(found(image_BCHW), network(image_BCHW), rtol=0, atol=1e-3)
    network.mean_C11 += 0.01
    write_ncnn(stem, network)
    with pytest.raises(ValueError, match=r"span\.bin: m0 is another constant than the network's"):
        fill_from_ncnn(found, *files)
    with pytest.raises(ValueError, match=r"span\.bin: 1 constants, the network has 0"):
        fill_from_ncnn(nn.Conv2d(3, 3, 3), *files)


@pytest.mark.parametrize("name", RELEASED)
def test_without_the_package_the_command_is_said(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=f"{re.escape(name)}.*{re.escape(RELEASED[name].install)}"):
        catalog.build(name)


def as_flax(network):
    """The network as flax writes it: nested names, kernels as height, width, inputs, outputs."""

    def array(tensor):
        content = (tuple(tensor.shape), "float32", tensor.detach().contiguous().numpy().tobytes())
        return msgpack.ExtType(1, msgpack.packb(content))

    first, *convolutions, last = [each for each in network.modules() if isinstance(each, nn.Conv2d)]
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    kernels = {
        each: {"kernel": array(each.weight.permute(2, 3, 1, 0))} for each in (first, *convolutions, last)
    }
    parameters = {"conv_start": kernels[first], "conv_end": kernels[last]}
    statistics = {}
    for index, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
        learned = {"scale": array(norm.weight), "bias": array(norm.bias)}
        parameters[f"ConvBNBlock_{index}"] = {"Conv_0": kernels[convolution], "BatchNorm_0": learned}
        measured = {"mean": array(norm.running_mean), "var": array(norm.running_var)}
        statistics[f"ConvBNBlock_{index}"] = {"BatchNorm_0": measured}
    return {"params": parameters, "batch_stats": statistics}


@pytest.fixture
def scico(tmp_path, monkeypatch):
    """Its file of a denoiser, with weights of our own in it."""
    monkeypatch.syspath_prepend(tmp_path)
    released = RELEASED["dncnn-grey-25"]
    path = tmp_path / released.package / released.path
    path.parent.mkdir(parents=True)
    (tmp_path / released.package / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    torch.manual_seed(0)
    network = build_network(released.architecture, released.arguments).train()
    network(torch.rand(2, 1, 8, 8))  # statistics that are not those of the start
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight)
            nn.init.uniform_(layer.bias)
    path.write_bytes(msgpack.packb(as_flax(network)))
    return path, network.eval()


def test_flax_weights_become_those_of_our_network(scico):
    _, network = scico
    restorer = catalog.build("dncnn-grey-25")
    image_BCHW = torch.rand(1, 1, 20, 16)
    torch.testing.assert_close(restorer.model.network(image_BCHW), network(image_BCHW))
    card = restorer.card
    assert (card.task, card.licence, card.halo, card.tile_exact) == ("denoising", "BSD-3-Clause", 17, True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no weights of flax"),
        (b"\x93\x01", "no weights of flax"),
        (msgpack.packb([1]), "no weights of flax"),
        (msgpack.packb({"params": {}}), "'batch_stats' is not there"),
        (
            msgpack.packb({"params": {"conv_start": {"kernel": 3}}, "batch_stats": {}}),
            "an array, where there is a int",
        ),
        (msgpack.packb(msgpack.ExtType(7, b"x")), "msgpack extension 7"),
    ],
)
def test_what_is_no_denoiser_of_flax_is_refused(scico, data, message):
    scico[0].write_bytes(data)
    with pytest.raises(ValueError, match=rf"dncnn17M\.mpk: .*{message}"):
        catalog.build("dncnn-grey-25")


def test_weights_of_another_size_are_refused(scico):
    deeper = build_network("dncnn", {"channels": 1, "layers": 20})
    scico[0].write_bytes(msgpack.packb(as_flax(deeper)))
    with pytest.raises(ValueError, match=r"dncnn17M\.mpk: .*17 layers, where there is one of 20"):
        catalog.build("dncnn-grey-25")
    other = build_network("dncnn", {"channels": 1, "layers": 17, "features": 8})
    scico[0].write_bytes(msgpack.packb(as_flax(other)))
    with pytest.raises(ValueError, match=r"dncnn17M\.mpk: weight is \(8, 1, 3, 3\), not \(64, 1, 3, 3\)"):
        catalog.build("dncnn-grey-25")


def test_names_of_released_ones_are_known():
    with pytest.raises(ValueError, match='did you mean "real-esrgan-x4"'):
        catalog.build("real-esrgan-x")
