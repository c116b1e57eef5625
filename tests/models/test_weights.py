"""Weights and card in one file; and the weights that this project ships."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from models.card import Card
from models.contract import Condition
from models.networks import NETWORKS, build_network
from models.restorer import Restorer
from models.weights import SHIPPED, build_part, build_restorer, load_weights, save_weights, shipped_path

CARD = Card(
    name="small",
    summary="A small FFDNet.",
    task="denoising",
    channels=3,
    multiple_of=2,
    minimum_size=2,
    halo=9,
    architecture="ffdnet",
    arguments={"channels": 3, "features": 16, "layers": 4},
    training={"steps": 3, "minutes": 0.5},
)


def state_of(card):
    torch.manual_seed(3)
    network = build_network(card.architecture, card.arguments)
    return {name: 0.05 * torch.randn_like(tensor) for name, tensor in network.state_dict().items()}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.safetensors"
    save_weights(path, CARD, state_of(CARD))
    return path


def test_card_and_weights_come_back(file):
    card, state = load_weights(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert card == dataclasses.replace(CARD, weights_sha256=digest)
    expected = state_of(CARD)
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert load_weights(file.read_bytes())[0] == card


def test_the_file_is_plain_safetensors(file):
    with safetensors.safe_open(file, framework="pt") as opened:
        assert Card.from_json(opened.metadata()["card"]) == CARD
        assert set(opened.keys()) == set(state_of(CARD))
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_same_weights_give_the_same_bytes(file, tmp_path):
    again = tmp_path / "again.safetensors"
    save_weights(again, dataclasses.replace(CARD, weights_sha256="of an earlier file"), state_of(CARD))
    assert again.read_bytes() == file.read_bytes()


def test_half_precision_is_stored_small_and_loaded_as_float32(tmp_path, file):
    half = tmp_path / "half.safetensors"
    save_weights(half, CARD, state_of(CARD), dtype=torch.float16)
    state = load_weights(half)[1]
    assert all(tensor.dtype == torch.float32 for tensor in state.values())
    assert all(torch.equal(tensor, state_of(CARD)[name].half().float()) for name, tensor in state.items())
    assert half.stat().st_size < 0.7 * file.stat().st_size


def test_restorer_computes_with_the_weights(file):
    card, state = load_weights(file)
    restorer = build_restorer(card, state)
    image_BCHW = torch.rand(2, 3, 8, 10)
    level_B = torch.tensor([0.1, 0.2])
    network = build_network(card.architecture, card.arguments)
    network.load_state_dict(state_of(CARD))
    with torch.inference_mode():
        expected = network(image_BCHW, level_B)
    restored_BCHW = restorer(image_BCHW, condition=Condition(noise_level_B=level_B))
    torch.testing.assert_close(restored_BCHW, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_cut_off_file_is_refused(file, keep):
    with pytest.raises(ValueError, match=r"not a whole safetensors file .*; fetch or export it again"):
        load_weights(file.read_bytes()[:keep])


def test_a_file_that_is_something_else_is_refused(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(state_of(CARD), path)
    with pytest.raises(ValueError, match=r"model\.pth: not a whole safetensors file"):
        load_weights(path)


def test_a_file_without_a_card_is_refused():
    with pytest.raises(ValueError, match="holds weights but no card; write it with"):
        load_weights(safetensors.torch.save(state_of(CARD)))


def test_a_wrong_card_is_refused():
    data = safetensors.torch.save(state_of(CARD), metadata={"card": '{"name": "x", "colour": 3}'})
    with pytest.raises(ValueError, match=r"unknown fields \['colour'\]"):
        load_weights(data)


class Called(TorchDispatchMode):
    """The names of what torch computes."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))


def test_no_initial_weights_are_drawn_to_be_replaced():
    """For those without values torch loads its compiler, which took longer than all the rest of loading."""
    card, state = load_weights(shipped_path("inpaint-gated"))
    with Called() as drawn:
        build_network(card.architecture, card.arguments)
    assert "aten.normal_.default" in drawn.names
    with Called() as loaded:
        restorer = build_restorer(card, state)
    assert "aten.normal_.default" not in loaded.names
    found = restorer.model.network.state_dict()
    assert all(torch.equal(found[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": 24}, r"expected convolutions\.0\.bias \(24,\), found \(16,\)"),
        ({"layers": 5}, r"expected convolutions\.3\.bias \(16,\), found \(12,\)"),
        ({"layers": 3}, r"expected convolutions\.2\.bias \(12,\), found \(16,\)"),
    ],
)
def test_weights_of_another_architecture_are_refused(file, arguments, message):
    card, state = load_weights(file)
    other = dataclasses.replace(card, arguments={**card.arguments, **arguments})
    with pytest.raises(ValueError, match=message):
        build_restorer(other, state)


def test_missing_and_additional_tensors_are_named(file):
    card, state = load_weights(file)
    with pytest.raises(ValueError, match="expected extra to be absent, found"):
        build_restorer(card, {**state, "extra": torch.zeros(2)})
    del state["convolutions.1.weight"]
    with pytest.raises(ValueError, match=r"expected convolutions\.1\.weight .*, found none"):
        build_restorer(card, state)


class Constants(nn.Module):
    """As networks of others are: constants that no state holds, some computed in tensors."""

    def __init__(self, computed: bool = True) -> None:
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(1, 2, 3)] if computed else [2.0]
        self.plain_1 = torch.full((1,), 3.0)
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, image_BCHW):
        return image_BCHW * self.gain * self.rates[-1] * self.plain_1


@pytest.mark.parametrize("computed", [True, False])
def test_constants_that_are_not_stored_are_those_of_the_network(monkeypatch, computed):
    monkeypatch.setitem(NETWORKS, "constants", Constants)
    arguments = {"computed": computed}
    card = Card(name="c", summary="x", task="general", architecture="constants", arguments=arguments)
    restorer = build_restorer(card, {"gain": torch.full((1,), 0.1)})
    assert restorer.model.network(torch.ones(1)).item() == pytest.approx(0.6)


def test_unknown_shipped_name_is_refused():
    with pytest.raises(
        ValueError,
        match='unknown shipped weights "ffdnet-blue"; did you mean "ffdnet-colour"',
    ):
        shipped_path("ffdnet-blue")


@pytest.mark.parametrize("name", SHIPPED)
class TestShipped:
    def test_card_is_complete(self, name):
        card, state = load_weights(shipped_path(name))
        assert (card.name, card.licence) == (name, "Apache-2.0")
        if isinstance(build_part(card, state), Restorer):
            assert card.halo == build_network(card.architecture, card.arguments).halo
        assert card.training["finished"]
        assert card.training["photographs"]
        assert all({"file", "licence", "author"} <= each.keys() for each in card.training["photographs"])
        assert not any("GPL" in each["licence"] for each in card.training["photographs"])
        assert shipped_path(name).stat().st_size < 8e6

    def test_folder_holds_nothing_else(self, name):
        folder = shipped_path(name).parent
        assert {path.name for path in folder.glob("*.safetensors")} == set(SHIPPED.values())


def psnr(restored, reference):
    """The formula, by hand, on 8-bit values."""
    error = np.mean((np.clip(np.round(restored), 0, 255) - reference.astype(np.float64)) ** 2)
    return 10 * np.log10(255**2 / error)


def score(restorer, pixels_HWC, sigma, level=None, rng=None):
    """PSNR before and after, of noise drawn by NumPy."""
    noise = (rng or np.random.default_rng(7)).normal(0, sigma, pixels_HWC.shape)
    noisy = (pixels_HWC + noise).astype(np.float32)
    image_BCHW = torch.from_numpy(noisy / np.float32(255)).permute(2, 0, 1)[None]
    level_B = None if level is None else torch.tensor([level / 255.0])
    restored_BCHW = restorer(image_BCHW, condition=Condition(noise_level_B=level_B))
    restored = restored_BCHW[0].permute(1, 2, 0).numpy() * 255.0
    return psnr(noisy, pixels_HWC), psnr(restored, pixels_HWC)


@pytest.fixture(scope="module")
def shipped():
    return build_restorer(*load_weights(shipped_path("ffdnet-colour")))


@pytest.mark.parametrize(("sigma", "gain"), [(5, 1.0), (15, 6.0), (25, 8.0), (50, 11.0), (75, 12.0)])
def test_shipped_denoiser_gains_on_a_photograph_it_has_not_seen(shipped, sigma, gain):
    skimage_data = pytest.importorskip("skimage.data")
    before, after = score(shipped, skimage_data.chelsea()[20:276, 60:316], sigma, level=sigma)
    assert after - before > gain, f"{before:.2f} -> {after:.2f} dB"


def test_shipped_denoiser_works_without_being_told_the_level(shipped):
    skimage_data = pytest.importorskip("skimage.data")
    clean = skimage_data.astronaut()[100:356, 100:356]
    _, told = score(shipped, clean, 25, level=25)
    _, blind = score(shipped, clean, 25)
    assert blind > told - 0.3


@pytest.mark.parametrize("photograph", ["astronaut", "chelsea"])
def test_shipped_denoiser_beats_non_local_means(shipped, photograph):
    skimage_data = pytest.importorskip("skimage.data")
    restoration = pytest.importorskip("skimage.restoration")
    clean = getattr(skimage_data, photograph)()[20:212, 60:252]
    _, ours = score(shipped, clean, 25, level=25)
    noisy = (clean + np.random.default_rng(7).normal(0, 25, clean.shape)) / 255
    theirs = restoration.denoise_nl_means(noisy, 5, 6, h=0.6 * 25 / 255, sigma=25 / 255, channel_axis=-1)
    assert ours > psnr(theirs * 255, clean) + 0.3


SET5 = Path(__file__).parents[2] / "../shared/data/Set5/HR"
SET5_PSNR = {15: 33.33, 25: 31.12, 50: 28.22}
"""RGB, dB, as docs/weights.md states them; other draws of the noise move them by a few hundredths."""


@pytest.mark.long
@pytest.mark.skipif(not SET5.exists(), reason="Set5 is not distributed with the project")
@pytest.mark.parametrize("sigma", SET5_PSNR)
def test_shipped_denoiser_scores_what_the_documentation_says(shipped, sigma):
    rng = np.random.default_rng(sigma)
    scores = []
    for path in sorted(SET5.glob("*.png")):
        scores.append(score(shipped, np.asarray(Image.open(path).convert("RGB")), sigma, sigma, rng)[1])
    assert len(scores) == 5
    assert np.mean(scores) == pytest.approx(SET5_PSNR[sigma], abs=0.05)
