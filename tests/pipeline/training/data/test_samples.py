"""Samples: functions of seed, step and place; cut, turned and degraded; shared out without a change."""

import threading
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pipeline.training.data.collection import Collection
from pipeline.training.data.neighbor2neighbor import draw_neighbor_pair
from pipeline.training.data.noise2void import RADIUS, SHARE, hide_pixels
from pipeline.training.data.pictures import Picture
from pipeline.training.data.prefetch import Prefetch
from pipeline.training.data.sampler import Sampler
from pipeline.training.data.samples import Samples
from pipeline.training.recipe.built_recipe import BuiltRecipe
from tests.helpers import photograph
from tests.pipeline.training.training_data import denoiser, generator, super_resolver_gan


def collection(*pixels):
    return Collection(tuple(Picture(f"set/{i}", each) for i, each in enumerate(pixels)))


def samples(recipe, pictures, **world):
    return Samples(recipe, pictures, BuiltRecipe.of(recipe).degradations, torch.device("cpu"), **world)


def test_samples_are_places_of_the_pictures_in_all_eight_positions(tmp_path):
    crop, picture = 6, photograph(0)
    recipe = generator(
        tmp_path,
        batch=80,
        data={"datasets": [{"name": "s", "uri": "x"}], "crop": crop, "downsample": 1},
        network={"architecture": "dcgan", "arguments": {"image_size": 8}, "value_range": [-1, 1]},
    )
    cut = Samples(recipe, collection(picture), (), torch.device("cpu")).clean(0)
    windows = np.lib.stride_tricks.sliding_window_view(picture, (crop, crop), axis=(0, 1))
    places = {window.tobytes() for window in windows.reshape(-1, 3, crop, crop)}
    seen = set()
    for patch in torch.cat(cut):
        stored = (patch * 255).round().byte().numpy()
        positions = [
            np.rot90(mirrored, turns, axes=(1, 2)).tobytes()
            for mirrored in (stored, stored[:, :, ::-1])
            for turns in range(4)
        ]
        assert places.intersection(positions)
        seen.update(index for index, position in enumerate(positions) if position in places)
    assert seen == set(range(8))


def test_pictures_are_drawn_by_their_area_and_the_busiest_place_is_taken(tmp_path):
    data = denoiser(tmp_path, data={"datasets": [{"name": "s", "uri": "x"}], "crop": 8}).data
    sampler = Sampler([(20, 20, 3), (40, 50, 3)], data, seed=1)
    share = np.mean([sampler(0, index).picture for index in range(2000)])
    assert share == pytest.approx(2000 / 2400, abs=0.03)

    half = np.zeros((32, 200, 3), np.uint8)
    half[:, 100:] = np.random.default_rng(0).integers(0, 255, (32, 100, 3))
    shares = []
    for best in (1, 2):
        recipe = denoiser(
            tmp_path,
            batch=600,
            data={"datasets": [{"name": "s", "uri": "x"}], "crop": 8, "crop_candidates": best},
        )
        (example,) = samples(recipe, collection(half)).examples(0)
        shares.append(float((example.target_BCHW > 0).any(3).any(2).any(1).float().mean()))
    # A chance p becomes 1 - (1 - p)^2 where two places are looked at.
    assert shares[0] == pytest.approx(100 / 193, abs=0.06)
    assert shares[1] == pytest.approx(1 - (1 - 100 / 193) ** 2, abs=0.06)


def test_a_sample_depends_on_seed_step_and_place_alone(tmp_path):
    data = denoiser(tmp_path).data
    draws = {
        Sampler([(64, 64, 3)], data, seed)(step, index)
        for seed in (1, 2)
        for step in (0, 1)
        for index in (0, 1)
        for _ in range(2)
    }
    assert len(draws) == 8


@pytest.mark.parametrize("make", [denoiser, super_resolver_gan])
def test_workers_share_the_very_batch_of_one(tmp_path, make):
    recipe = make(tmp_path, batch=4)
    pictures = collection(photograph(0, 48, 56), photograph(1, 48, 56))
    (whole,) = samples(recipe, pictures).examples(7)
    parts = [samples(recipe, pictures, rank=rank, size=2).examples(7)[0] for rank in (0, 1)]
    for name in ("degraded_BCHW", "target_BCHW"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    if whole.condition.noise_level_B is not None:
        levels = torch.cat([part.condition.noise_level_B for part in parts])
        assert torch.equal(levels, whole.condition.noise_level_B)
        noise = (whole.degraded_BCHW - whole.target_BCHW).std(dim=(1, 2, 3))
        torch.testing.assert_close(noise, levels, rtol=0.15, atol=0)


def test_accumulation_takes_the_same_batch_in_parts(tmp_path):
    pictures = collection(photograph(0, 48, 56))
    whole = samples(denoiser(tmp_path), pictures).examples(3)
    parts = samples(denoiser(tmp_path, accumulation=2), pictures).examples(3)
    assert [len(each.target_BCHW) for each in parts] == [2, 2]
    assert torch.equal(torch.cat([each.degraded_BCHW for each in parts]), whole[0].degraded_BCHW)


def test_a_critic_of_two_steps_gets_two_batches_of_every_worker(tmp_path):
    recipe = generator(tmp_path)
    pictures = collection(photograph(0, 48, 56))
    whole = samples(recipe, pictures).clean(0)
    assert [len(each) for each in whole] == [4, 4]
    second = samples(recipe, pictures, rank=1, size=2).clean(0)
    assert torch.equal(second[0], whole[0][2:])
    assert torch.equal(second[1], whole[1][2:])


def test_shrinking_is_the_mean_of_squares(tmp_path):
    recipe = generator(tmp_path)
    picture = photograph(0, 16, 16)
    turned = [np.rot90(m, k) for m in (picture, picture[:, ::-1]) for k in range(4)]
    means = [each.reshape(8, 2, 8, 2, 3).astype(np.float64).mean(axis=(1, 3)) / 255 for each in turned]
    for image in samples(recipe, collection(picture)).clean(0)[0]:
        found = image.permute(1, 2, 0).numpy()
        assert min(np.abs(found - mean).max() for mean in means) < 1e-6


def test_neighbours_lie_side_by_side_in_one_square():
    height, width = 8, 12
    index = torch.arange(height * width, dtype=torch.float32).view(1, 1, height, width)
    first, second = draw_neighbor_pair(index, [5])
    assert first.shape == second.shape == (1, 1, height // 2, width // 2)
    for row in range(height // 2):
        for column in range(width // 2):
            places = [divmod(int(image[0, 0, row, column]), width) for image in (first, second)]
            assert all((r // 2, c // 2) == (row, column) for r, c in places)
            distance = sum(abs(a - b) for a, b in zip(*places, strict=True))
            assert distance == 1  # neither itself nor the diagonal
    assert not torch.equal(first, draw_neighbor_pair(index, [6])[0])


def test_blind_spots_show_a_neighbour_and_nothing_else_changes():
    height, width = 40, 50
    index = torch.arange(height * width, dtype=torch.float32).view(1, 1, height, width).expand(2, 3, -1, -1)
    hidden, mask = hide_pixels(index, [1, 2])
    assert (mask == 0).sum().item() == 2 * round(SHARE * height * width)
    assert not torch.equal(mask[0], mask[1])
    changed = (hidden != index).any(dim=1, keepdim=True)
    assert torch.equal(changed, mask == 0)
    for sample, _, row, column in (mask == 0).nonzero().tolist():
        shown = divmod(int(hidden[sample, 0, row, column]), width)
        assert max(abs(shown[0] - row), abs(shown[1] - column)) <= RADIUS
        assert len(set(hidden[sample, :, row, column].tolist())) == 1


def test_self_supervised_samples_never_hold_the_clean_image(tmp_path):
    pictures = collection(photograph(0, 48, 56))
    clean = samples(denoiser(tmp_path), pictures).examples(0)[0].target_BCHW
    hidden = {"self_supervision": "noise2void", "losses": [{"name": "masked_mse", "known": 0}]}
    spots = samples(denoiser(tmp_path, **hidden), pictures).examples(0)[0]
    assert spots.target_BCHW.shape == clean.shape
    assert float((spots.target_BCHW - clean).std()) > 0.02
    pair = samples(denoiser(tmp_path, self_supervision="neighbor2neighbor"), pictures).examples(0)[0]
    assert pair.degraded_BCHW.shape == pair.target_BCHW.shape == (4, 3, 8, 8)
    assert float((pair.target_BCHW - F.avg_pool2d(clean, 2)).std()) > 0.02


def test_prefetch_gives_all_in_order_and_works_ahead():
    made, free = [], threading.Event()

    def make(step):
        made.append(step)
        if step == 3:
            free.wait(5)
        return step * 10

    ahead = Prefetch(make, 2, threads=1)
    assert ahead.take() == 20
    deadline = time.monotonic() + 5
    while 3 not in made:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    free.set()
    assert [ahead.take() for _ in range(3)] == [30, 40, 50]
    ahead.close()


def test_prefetch_raises_what_making_raised():
    ahead = Prefetch(lambda step: 1 // step, 0)
    with pytest.raises(ZeroDivisionError):
        ahead.take()
    ahead.close()


def test_restorers_take_a_batch_for_each_step_of_the_discriminator(tmp_path):
    """From the step on where it comes in; the generator's own batch stays the same."""
    pictures = collection(photograph(0, 48, 56))
    recipe = super_resolver_gan(tmp_path)
    one, several = (
        samples(
            recipe.model_copy(update={"discriminator": recipe.discriminator.model_copy(update=more)}),
            pictures,
        )
        for more in ({}, {"steps": 3, "start_step": 1})
    )
    assert [len(several.examples(step)) for step in (0, 1)] == [1, 3]
    first, second, third = (each.target_BCHW for each in several.examples(1))
    assert torch.equal(first, one.examples(1)[0].target_BCHW)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)
