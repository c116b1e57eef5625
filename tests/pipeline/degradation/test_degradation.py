"""Degradations: seeds from names, draws that are recorded and replayed."""

import json

import numpy as np
import pytest
import torch

from pipeline.degradation.degradation import build_degradation
from pipeline.degradation.presets import PRESETS
from pipeline.errors import JobError
from pipeline.jobs.job import DegradationSpec
from tests.helpers import photograph

DRAWN = {
    "name": "drawn",
    "operators": [
        {"op": "gaussian_blur", "sigma": [0.8, 1.6]},
        {"op": "gaussian_noise", "sigma": [5.0, 40.0]},
        {"op": "jpeg", "quality": [10, 90]},
    ],
}


def degradation(fields):
    return build_degradation(DegradationSpec.model_validate(fields))


@pytest.fixture
def photo():
    return torch.from_numpy(photograph(3, 48, 48).transpose(2, 0, 1).copy())[None] / 255


def test_the_same_seed_gives_the_same_pixels_and_another_gives_others(photo):
    drawn = degradation(DRAWN)
    first, again, other = drawn(photo, 7), drawn(photo, 7), drawn(photo, 8)
    assert torch.equal(first.image_BCHW, again.image_BCHW)
    assert first.parameters == again.parameters
    assert not torch.equal(first.image_BCHW, other.image_BCHW)
    assert first.parameters != other.parameters


def test_draws_lie_in_their_ranges_and_fill_them(photo):
    drawn = degradation(DRAWN)
    parameters = [drawn(photo[..., :16, :16], seed).parameters for seed in range(200)]
    for index, field, low, high in [(0, "sigma", 0.8, 1.6), (1, "sigma", 5, 40), (2, "quality", 10, 90)]:
        values = np.array([each[index][field] for each in parameters])
        assert values.min() >= low
        assert values.max() <= high
        assert np.quantile(values, [0.1, 0.9]) == pytest.approx(
            [low + 0.1 * (high - low), low + 0.9 * (high - low)], abs=0.1 * (high - low)
        )
    assert all(isinstance(each[2]["quality"], int) for each in parameters), "a range of whole numbers"


def test_sides_of_kernels_are_drawn_from_the_odd_numbers_of_their_range(photo):
    for op in ({"op": "sinc", "cutoff": 1.0}, {"op": "gaussian_blur", "sigma": 1.0}):
        drawn = degradation({"name": "soft", "operators": [op | {"size": [7, 11]}]})
        assert {drawn(photo, seed).parameters[0]["size"] for seed in range(20)} == {7, 9, 11}


def test_an_operator_without_what_it_needs_is_refused_with_the_cure():
    with pytest.raises(JobError, match=r"anisotropic_gaussian_blur: give sigma_x and sigma_y too"):
        degradation({"name": "x", "operators": [{"op": "anisotropic_gaussian_blur"}]})


def test_what_was_drawn_replays_the_pixels(photo):
    original = degradation(DRAWN)(photo, 1234)
    recorded = json.loads(json.dumps(original.parameters))
    replayed = degradation({"name": "replay", "operators": recorded})(photo, 1234)
    assert torch.equal(replayed.image_BCHW, original.image_BCHW)


def test_the_order_in_which_parameters_are_written_changes_nothing(photo):
    forth = {"op": "gaussian_noise", "sigma": [5.0, 40.0], "grey": False}
    two = {"op": "poisson_gaussian_noise", "gain": [0.001, 0.01], "sigma": [1.0, 9.0]}
    one = degradation({"name": "d", "operators": [forth, two]})
    other = degradation({"name": "d", "operators": [dict(reversed(each.items())) for each in (forth, two)]})
    assert one.seed(0, "a", "b") == other.seed(0, "a", "b")
    assert torch.equal(one(photo, 5).image_BCHW, other(photo, 5).image_BCHW)


def test_the_seed_comes_from_names_and_the_degradation_alone():
    blur = degradation(DRAWN)
    seeds = {
        blur.seed(0, "set", "a.png"),
        blur.seed(1, "set", "a.png"),
        blur.seed(0, "other", "a.png"),
        blur.seed(0, "set", "b.png"),
        degradation({"name": "awgn-25"}).seed(0, "set", "a.png"),
    }
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_noise_has_the_level_that_restorers_are_told(photo):
    degraded = degradation({"name": "awgn-25"})(photo, 3)
    assert float(degraded.condition.noise_level_B) == pytest.approx(25 / 255)
    assert float((degraded.image_BCHW - photo).std()) == pytest.approx(25 / 255, rel=0.03)


def test_restorers_are_told_the_very_mask(photo):
    degraded = degradation({"name": "mask"})(photo, 3)
    known_11HW = degraded.condition.mask_B1HW
    assert torch.equal(degraded.image_BCHW, photo * known_11HW)
    assert float(known_11HW.mean()) == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_degrades_to_its_scale(name, photo):
    preset = degradation({"name": name})
    bands = PRESETS[name].bands or 3
    degraded = preset(photo.repeat(1, 3, 1, 1)[:, :bands], 1)
    assert degraded.image_BCHW.shape == (1, bands, 48 // preset.scale, 48 // preset.scale)
    assert torch.isfinite(degraded.image_BCHW).all()
    assert [each["op"] for each in degraded.parameters] == [each["op"] for each in PRESETS[name].operators]
    assert json.dumps(degraded.parameters)


def test_low_dose_ct_is_as_noisy_as_its_summary_says():
    """In Hounsfield units, with the radiometry that the preset is for: -1000 to 3000."""
    for unit, hounsfield in ((0.0, 15), (0.25, 25)):
        flat = torch.full((1, 1, 400, 400), unit)
        noise = degradation({"name": "low-dose-ct"})(flat, 1).image_BCHW - flat
        assert float(noise.std()) * 4000 == pytest.approx(hounsfield, rel=0.02)
        assert float(noise.mean()) * 4000 == pytest.approx(0, abs=0.2)


def test_landsat_is_as_noisy_as_its_summary_says():
    """In counts of 8 bits: read noise in the dark, and with shot noise at half range, band by band."""
    read = np.array([1, 1, 1, 1, 2, 2])
    for unit, shot in ((0.0, 0.0), (0.5, 0.8)):
        flat = torch.full((1, 6, 400, 400), unit)
        noise = degradation({"name": "landsat-x2"})(flat, 1).image_BCHW - unit
        counts = noise.std(dim=(0, 2, 3)).numpy() * 255
        np.testing.assert_allclose(counts, np.hypot(read, shot), rtol=0.02)
