"""Steps that are played again, on a CPU: what a graph would ask of a GPU is asked by running it once more.

So all but the graph itself is that of a GPU (``tests/test_gpu.py`` compares there): what counts as the same
work, which tensors are copied where, whose gradients are left, and that nothing of the first step stays.
"""

import pytest
import torch

from pipeline.training import trainer
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.steps import replay
from pipeline.training.steps.replay import WARM_UP, Replay
from tests.pipeline.training.test_training_state import (
    BEGAN,
    DROPOUT,
    MUON,
    PICTURES,
    assert_same,
    denoiser,
    generator,
    super_resolver_gan,
)

PLAYED = 4
STEPS = WARM_UP + PLAYED


class RunAgain:
    """In the place of a CUDA graph: the recorded work, and its results where the first ones lie."""

    def __init__(self, given, work, network):
        self.given, self.work = given, work
        self.scalars, self.images = work(given)
        self.gradients = [(each, each.grad) for each in network.parameters()] if network else []
        self.stacked = replay._stacked(list(self.scalars.values()), given[0].device)
        self.times = 0

    def replay(self):
        scalars, images = self.work(self.given)
        self.stacked.copy_(replay._stacked(list(scalars.values()), self.stacked.device))
        for kept, made in zip(self.images, images, strict=True):
            kept.copy_(made)
        for parameter, kept in self.gradients:
            kept.copy_(parameter.grad)
        self.times += 1


def trained(recipe, monkeypatch, *, played):
    """The trainer after ``STEPS`` steps, and what was recorded."""
    recorded = []

    def run_again(given, work, network):
        held = [each.clone() for each in given]
        networks = [training.network, *([training.adversary.network] if training.adversary else [])]
        buffers = [(each, each.clone()) for one in networks for each in one.buffers()]
        draws = torch.get_rng_state()
        again = RunAgain(held, work, network)
        # A graph's recording does nothing.
        torch.set_rng_state(draws)
        for buffer, before in buffers:
            buffer.copy_(before)
        recorded.append(again)
        kinds = {name: each.dtype for name, each in again.scalars.items()}
        return replay._Recording(again, held, again.stacked, kinds, again.images, again.gradients)

    with monkeypatch.context() as patched:
        patched.setattr(replay, "_recorded", run_again)
        patched.setattr(trainer, "Replay", lambda wanted: Replay(wanted=played))
        training = trainer.Trainer(BuiltRecipe.of(recipe), PICTURES)
        scalars = [training.step()[0] for _ in range(STEPS)]
    training.close()
    return training, scalars, recorded


@pytest.mark.parametrize(
    ("make", "fields", "recordings"),
    [
        (denoiser, {}, [PLAYED]),
        (denoiser, {"accumulation": 2}, [PLAYED]),
        (denoiser, DROPOUT, [PLAYED]),
        # A penalty's draws are the host's: only the generator's part is played.
        (super_resolver_gan, {}, [PLAYED]),
        # Two steps of the discriminator in each.
        (generator, {}, [2 * STEPS - WARM_UP, PLAYED]),
        (generator, BEGAN, [PLAYED]),
    ],
    ids=["denoiser", "accumulation", "dropout", "adversarial", "generation", "memory"],
)
def test_they_are_those_of_before(tmp_path, monkeypatch, make, fields, recordings):
    recipe = make(tmp_path, **fields)
    plain, expected, _ = trained(recipe, monkeypatch, played=False)
    found, scalars, recorded = trained(recipe, monkeypatch, played=True)
    assert [each.times for each in recorded] == recordings
    assert_same(found.state_dict(), plain.state_dict())
    for values, known in zip(scalars, expected, strict=True):
        # Sums are in another order where a batch lies otherwise in memory.
        torch.testing.assert_close(dict(values), dict(known), rtol=1e-5, atol=1e-6)


def test_directions_of_kernels_are_those_of_before(tmp_path, monkeypatch):
    plain, *_ = trained(denoiser(tmp_path, **MUON), monkeypatch, played=False)
    found, _, recorded = trained(denoiser(tmp_path, **MUON), monkeypatch, played=True)
    assert len(recorded) > 1
    assert_same(found.state_dict(), plain.state_dict())


def test_a_work_of_another_shape_or_of_no_kind_is_not_played(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(replay, "_recorded", never)
    played = Replay(wanted=True)
    for step in range(2 * WARM_UP):
        given = [torch.ones(1 + step % 2)]
        assert played("a", given, lambda tensors: ({}, list(tensors))) == ({}, given)
        assert played(None, given, lambda tensors: ({}, list(tensors))) == ({}, given)


def test_what_cannot_be_recorded_is_run_as_it_is_and_said_once(monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(replay, "_recorded", fails)
    played, given = Replay(wanted=True), [torch.ones(2)]
    for _ in range(WARM_UP + 3):
        assert played("a", given, lambda tensors: ({}, list(tensors))) == ({}, given)
    (message,) = caplog.messages
    assert "costs speed alone: operation not permitted when stream is capturing" in message
    assert "and more" not in message
