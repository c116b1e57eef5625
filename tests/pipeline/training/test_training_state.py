"""A training goes on from its state as if it had never stopped: bit for bit, on a CPU."""

import io

import pytest
import torch

from pipeline.training.data.collection import Collection
from pipeline.training.data.pictures import Picture
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.trainer import Trainer
from tests.helpers import photograph
from tests.pipeline.training.training_data import denoiser, generator, super_resolver_gan

PICTURES = Collection(tuple(Picture(f"set/{i}", photograph(i, 48, 56)) for i in range(3)))

DROPOUT = {
    "network": {
        "architecture": "pix2pix_unet",
        "arguments": {"features": 2, "levels": 3},
        "value_range": [-1.0, 1.0],
    }
}
BEGAN = {
    "latents": "uniform",
    "discriminator": {
        "architecture": "autoencoder",
        "arguments": {"features": 4, "image_size": 8, "latent": 4},
        "adversarial": {"name": "began", "gain": 0.1},
        "optimizer": {"learning_rate": 1e-3},
    },
}
MUON = {"optimizer": {"name": "muon", "learning_rate": 1e-2, "clip_gradient": 0.5}}


def training(recipe):
    return Trainer(BuiltRecipe.of(recipe), PICTURES)


def stepped(one, steps):
    for _ in range(steps):
        one.step()
    return one


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def assert_same(first, second, path="state"):
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), path
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            if key != "seconds":
                assert_same(first[key], second[key], f"{path}.{key}")
    elif isinstance(first, list):
        assert len(first) == len(second), path
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{path}[{index}]")
    else:
        assert first == second, path


@pytest.mark.parametrize(
    ("make", "fields"),
    [
        (denoiser, {}),
        (denoiser, MUON),
        (denoiser, DROPOUT),
        (denoiser, {"accumulation": 2, "precision": "bfloat16"}),
        (denoiser, {"self_supervision": "neighbor2neighbor"}),
        (super_resolver_gan, {}),
        (generator, {}),
        (generator, BEGAN),
    ],
    ids=["adam", "muon", "dropout", "accumulated", "neighbor2neighbor", "adversarial", "generator", "began"],
)
def test_six_steps_are_two_and_four_more(tmp_path, make, fields):
    recipe = make(tmp_path, **fields)
    whole = stepped(training(recipe), 6)
    first = stepped(training(recipe), 2)
    second = training(recipe)
    second.step()  # what it did before does not matter
    second.load_state_dict(through_a_file(first.state_dict()))
    assert second.position.step == 2
    stepped(second, 4)
    assert_same(whole.state_dict(), second.state_dict())
    start = training(recipe).state_dict()["network"]
    assert any(not torch.equal(start[name], value) for name, value in whole.state_dict()["network"].items())
    for each in (whole, first, second):
        each.close()


def test_state_of_began_moves_and_is_kept(tmp_path):
    run = stepped(training(generator(tmp_path, **BEGAN)), 3)
    assert 0 < float(run.state_dict()["adversarial"]["k"]) < 1
    run.close()


def test_schedule_is_followed(tmp_path):
    schedule = {"name": "multi_step", "milestones": [0.5], "factor": 0.1}
    recipe = denoiser(tmp_path, optimizer={"learning_rate": 0.01, "schedule": schedule})
    run, rates = training(recipe), []
    for _ in range(6):
        run.step()
        rates.append(run.learning_rates()["learning_rate"])
    run.close()
    assert rates == pytest.approx([0.01] * 3 + [0.001] * 3)
    assert run.progress == 1.0


def test_time_is_counted_over_sessions(tmp_path):
    recipe = denoiser(tmp_path, length={"minutes": 1.0})
    run = training(recipe)
    run.position.seconds = 45.0
    assert run.progress == 0.75
    run.step()
    run.close()
    assert 45.0 < run.position.seconds < 60.0


def test_delivered_weights_are_the_average(tmp_path):
    run = stepped(training(denoiser(tmp_path)), 3)
    delivered = run.delivered()
    assert_same(delivered, run.ema.state)
    assert any(not torch.equal(delivered[name], value) for name, value in run.network.state_dict().items())
    plain = stepped(training(denoiser(tmp_path, ema_decay=None)), 3)
    assert_same(plain.delivered(), dict(plain.network.state_dict()))
    run.close()
    plain.close()
