"""Released restorers: read from their package's files, refused with the command where it is not there."""

import importlib.util

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
    stem = tmp_path / released.package / released.stem
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


@pytest.mark.parametrize("name", RELEASED)
def test_without_the_package_the_command_is_said(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'restora\[released\]'"):
        catalog.build(name)


def test_names_of_released_ones_are_known():
    with pytest.raises(ValueError, match='did you mean "real-esrgan-x4"'):
        catalog.build("real-esrgan-x")
