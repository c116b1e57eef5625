"""Weights fitted to noisy images alone: what is measured, what is learnt, and that nothing gets worse."""

import dataclasses
import json

import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F
from typer.testing import CliRunner

from flows.cli.app import app
from models.contract import Condition
from models.networks import NetworkModel, build_network
from models.weights import build_restorer, load_weights, save_weights, shipped_path
from pipeline.training.adaptation.adapt import Settings, adapt
from pipeline.training.adaptation.archive_noise import ArchiveNoise, measure_noise
from pipeline.training.adaptation.gains import folded, gains_of, learning
from pipeline.training.adaptation.losses import ADAPTATION_LOSSES, sure_parts

LEVEL = torch.tensor([0.08])
CPU = torch.device("cpu")
DENOISER, STATE = load_weights(shipped_path("ffdnet-grey"))


def clean(side=256, count=2):
    """Slopes and discs."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 1, side), indexing="ij")
    images = []
    for number in range(count):
        disc = ((rows - 0.4) ** 2 + (columns - 0.3 - 0.2 * number) ** 2 < 0.05).float()
        images.append((0.2 + 0.4 * rows + 0.2 * disc)[None, None])
    return images


def noisy(images, sigma=0.08, shared=False):
    rng = torch.Generator().manual_seed(4)
    side = torch.tensor([0.5, 1.0, 0.5])
    kernel = torch.outer(side, side) if shared else torch.ones(1, 1)
    pad = kernel.shape[0] // 2
    drawn = [F.pad(torch.randn(each.shape, generator=rng), (pad,) * 4, mode="circular") for each in images]
    kernel = (kernel / kernel.norm())[None, None]
    return [image + sigma * F.conv2d(each, kernel) for image, each in zip(images, drawn, strict=True)]


def tiny(architecture, **arguments):
    torch.manual_seed(0)
    network = build_network(architecture, {"channels": 1, "features": 6, "layers": 3} | arguments)
    card = dataclasses.replace(DENOISER, architecture=architecture, arguments=network_arguments(arguments))
    return card, network.state_dict()


def network_arguments(arguments):
    return {"channels": 1, "features": 6, "layers": 3} | arguments


def test_noise_is_measured_where_images_are_flat():
    white = measure_noise(noisy(clean()))
    assert white.is_white
    assert white.constant**0.5 == pytest.approx(0.08, rel=0.06)
    shared = measure_noise(noisy(clean(), shared=True))
    assert not shared.is_white
    assert float(shared.correlation_SS[3, 4]) == pytest.approx(2 / 3, abs=0.12)
    drawn = shared.draw(torch.full((1, 1, 256, 256), 0.5), torch.Generator().manual_seed(1))
    assert float(drawn.std()) == pytest.approx(0.08, rel=0.1)
    assert float((drawn[..., 1:] * drawn[..., :-1]).mean() / drawn.var()) == pytest.approx(2 / 3, abs=0.12)
    rng = torch.Generator().manual_seed(2)
    photons = measure_noise([torch.poisson(each * 40, generator=rng) / 40 for each in clean()])
    assert float(photons.variance(torch.full((1, 1, 8, 8), 0.5)).mean()) == pytest.approx(0.5 / 40, rel=0.12)
    with pytest.raises(ValueError, match="shows no noise"):
        measure_noise(clean())
    with pytest.raises(ValueError, match="squares of 16 x 16"):
        measure_noise([torch.rand(1, 1, 32, 32)])


def test_steins_estimate_is_the_error_that_truth_would_tell():
    true = torch.cat(clean(256, 2))
    level = torch.full((2,), 0.08)
    for shared in (False, True):
        y = torch.cat(noisy(list(true.split(1)), shared=shared))
        noise = measure_noise(list(y.split(1)))

        def smooth(image):
            return F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, stride=1)

        taken, passed = sure_parts(smooth, y, noise, torch.Generator().manual_seed(0))
        estimated = float((taken + passed).mean() - level.square().mean())
        error = float((smooth(y) - true).square().mean())
        assert estimated == pytest.approx(error, abs=0.15 * 0.08**2)


def test_gains_change_nothing_at_first_and_are_folded_into_the_weights():
    card, state = tiny("ffdnet", predicts="image")
    model = build_restorer(card, state).model
    assert isinstance(model, NetworkModel)
    image, level = torch.rand(2, 1, 16, 16), torch.full((2,), 0.1)
    before = model.network(image, level)
    groups = gains_of(model.network)
    assert torch.equal(model.network(image, level), before)
    for parameter in learning(groups):
        parameter.data.mul_(1 + 0.2 * torch.rand(parameter.shape))
    with_gains = model.network(image, level).detach()
    assert not torch.allclose(with_gains, before, atol=1e-3)
    plain = build_restorer(card, folded(model.network)).model
    assert torch.allclose(plain.network(image, level), with_gains, atol=1e-5)


def test_gains_lie_where_the_weights_lie():
    network = build_network("ffdnet", {"channels": 1, "features": 6, "layers": 3}).to("meta")
    gains = list(learning(gains_of(network)))
    assert gains
    assert all(gain.is_meta for gain in gains)


@pytest.mark.parametrize("loss", sorted(ADAPTATION_LOSSES))
def test_every_loss_moves_towards_the_truth(loss):
    """From a network that adds a pattern of its own to every image."""
    true = clean(384, 1)
    card, state = tiny("ffdnet", predicts="image")
    images = noisy(true)
    done = adapt(card, state, images, Settings(loss=loss, weights="all", steps=2), device=CPU)
    assert done.steps >= 2
    assert done.card.training["adapted"]["loss"] == loss
    if not done.kept:
        assert done.state is state


def test_what_helped_is_kept_and_what_did_not_is_undone():
    true = clean(384, 1)
    images = noisy(true)
    card, state = tiny("ffdnet", predicts="image")
    done = adapt(card, state, images, Settings(steps=36), device=CPU)
    assert done.kept

    def error(weights):
        model = build_restorer(card, weights).model
        return float((model(images[0], Condition(noise_level_B=LEVEL)) - true[0]).square().mean())

    assert error(done.state) < error(state)
    # The last layer is zero: no gain changes anything.
    card, state = tiny("ffdnet", predicts="noise")
    undone = adapt(card, state, images, Settings(steps=2), device=CPU)
    assert (undone.kept, undone.gain_db) == (False, 0.0)
    assert undone.state is state


def test_noise_of_zero_correlation_draws_no_spectrum():
    correlation = torch.zeros(7, 7)
    correlation[3, 3] = 1.0
    noise = ArchiveNoise(0.01, 0.0, 0.0, correlation)
    image = torch.zeros(1, 1, 64, 64)
    expected = 0.1 * torch.randn(image.shape, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(noise.draw(image, torch.Generator().manual_seed(3)), expected)


def test_command_writes_weights_that_say_what_was_done(tmp_path):
    for number, image in enumerate(noisy(clean(384, 2))):
        pixels = (image[0, 0].clamp(0, 1) * 255).round().byte().numpy().astype(np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        PIL.Image.fromarray(pixels).save(tmp_path / "in" / f"{number}.png")
    card, state = tiny("ffdnet", predicts="image")
    save_weights(tmp_path / "tiny.safetensors", card, state)

    def adapted(weights, source, *more):
        arguments = ["adapt", str(weights), str(source), "--out", str(tmp_path / "out.safetensors"), *more]
        return CliRunner().invoke(app, [*arguments, "--steps", "2", "--device", "cpu"])

    done = adapted(tmp_path / "tiny.safetensors", tmp_path / "in")
    assert done.exit_code == 0, done.output
    assert "from 2 images" in done.output
    record = load_weights(tmp_path / "out.safetensors")[0].training["adapted"]
    assert record["of"] == load_weights(tmp_path / "tiny.safetensors")[0].weights_sha256
    assert json.dumps(record["noise"]["variance"])
    for weights, source, said in (
        ("srvgg-x2", tmp_path / "in", "enlarges; only restorers that do not"),
        ("inpaint-gated", tmp_path / "in", "needs the mask"),
        ("none", tmp_path / "in", "give a shipped name"),
        ("ffdnet-grey", tmp_path / "empty", "no images in"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        refused = adapted(weights, source)
        assert refused.exit_code == 2, refused.output
        assert said in " ".join(refused.output.split())
    for given in (tmp_path / "out.safetensors", tmp_path / "in" / ".." / "out.safetensors"):
        refused = adapted(given, tmp_path / "in")
        assert (refused.exit_code, "is what is read" in refused.output) == (2, True)
