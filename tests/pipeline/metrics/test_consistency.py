"""Degrading a restored image again: exact where nothing is random, null where that is not possible."""

import uuid
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import torch

from pipeline.degradation.degradation import build_degradation
from pipeline.formats import decode
from pipeline.hashing import sha256_hex
from pipeline.imaging.radiometry import to_tensor
from pipeline.jobs.job import DegradationSpec
from pipeline.metrics import METRICS
from pipeline.processing.cases import Case, Loaded
from pipeline.processing.metric_inputs import with_input
from pipeline.processing.processor import Processor
from pipeline.recipe.recipe import Recipe
from pipeline.storage.folder import Folder
from tests.helpers import benchmark, encoded, photograph, restore, source_of

CPU = torch.device("cpu")
FIXED = ["bicubic-x4", "blur", "motion", "defocus", "jpeg-q30", "mask", "slc-off", "clouds", "inpaint-thin"]
RANDOM = ["rician-mri", "real-esrgan-x2", "bsrgan-x4"]


def degradation(name, *operators):
    fields = {"name": name} | ({"operators": list(operators)} if operators else {})
    return build_degradation(DegradationSpec.model_validate(fields))


def loaded(samples: np.ndarray, valid_HW: np.ndarray | None = None) -> Loaded:
    folder, data = Folder(f"memory://{uuid.uuid4().hex}"), encoded(samples)
    folder.put("a.png", data)
    entry = next(each for page in folder.pages() for each in page)
    image = replace(decode(data), valid_HW=valid_HW)
    return Loaded(source_of("photos", folder, entry), sha256_hex(data), len(data), image)


def case_of(source: Loaded, how, seed: int = 5) -> Case:
    reference_1CHW = to_tensor(source.image, CPU)
    return Case(source, source.image, reference_1CHW, how(reference_1CHW, seed), {})


def outcome_of(how: str, restorer: str, metrics=("consistency", "consistency_worst_tile"), height=96):
    job = benchmark("in", "out", degradations=[how], restorers=[restorer], metrics=list(metrics))
    (outcome,) = Processor(Recipe.of(job), CPU)([loaded(photograph(3, height, 128))])
    assert outcome.error is None, outcome.error
    return outcome


@pytest.mark.parametrize("name", FIXED)
def test_the_reference_degraded_again_is_the_input(name):
    case = case_of(loaded(photograph(3, 64, 96)), degradation(name))
    again = case.degraded.replay(case.reference_1CHW)
    assert torch.equal(again, case.degraded.image_BCHW)
    other = case.degraded.replay(case.reference_1CHW.flip(-1))
    assert not torch.equal(other, again)


@pytest.mark.parametrize(("name", "level"), [("awgn-25", 25 / 255), ("low-light-poisson", None)])
def test_noise_is_left_in_the_difference(name, level):
    case = case_of(loaded(photograph(3, 128, 128)), degradation(name))
    noise = case.degraded.image_BCHW - case.degraded.replay(case.reference_1CHW)
    if level is None:  # Poisson: the variance is the mean over the number of photons
        level = (case.reference_1CHW.mean() / case.degraded.parameters[0]["photons"]).sqrt().item()
    assert noise.square().mean().sqrt().item() == pytest.approx(level, rel=0.02)


@pytest.mark.parametrize("name", RANDOM)
def test_what_cannot_be_repeated_is_undefined(name):
    case = case_of(loaded(photograph(3, 64, 96)), degradation(name))
    assert case.degraded.replay is None
    again, degraded, _ = with_input(case.reference_1CHW, [case], 0)
    assert again.shape == degraded.shape
    assert again.isnan().all()


def test_noise_between_fixed_operators():
    how = degradation(
        "all",
        {"op": "motion_blur", "length": 12.0},
        {"op": "gaussian_noise", "sigma": 0.0},
        {"op": "mask", "share": 0.25},
        {"op": "bicubic", "scale": 2},
    )
    case = case_of(loaded(photograph(3, 64, 96)), how)
    assert torch.equal(case.degraded.replay(case.reference_1CHW), case.degraded.image_BCHW)


def test_random_chains_give_null_scores():
    fields = outcome_of("real-esrgan-x2", "bicubic").fields
    assert fields["consistency"] is None
    assert fields["consistency_worst_tile"] is None


def test_identity_on_noise_leaves_what_rounding_took():
    outcome = outcome_of("awgn-25", "identity")
    noisy = outcome.case.degraded.image_BCHW[0].permute(1, 2, 0).double().numpy()
    residual = outcome.restored.pixels_HWC / 255.0 - noisy
    assert outcome.fields["consistency"] == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-5)
    tiles = [residual[y : y + 32, x : x + 32] for y in (0, 32, 64) for x in (0, 32, 64, 96)]
    worst = max(np.sqrt((tile**2).mean()) for tile in tiles)
    assert outcome.fields["consistency_worst_tile"] == pytest.approx(worst, rel=1e-5)
    assert outcome.fields["consistency_degraded"] == 0.0


def test_only_pixels_that_the_mask_shows_count():
    outcome = outcome_of("mask", "median")
    shown = outcome.case.degraded.condition.mask_B1HW[0, 0].numpy() > 0.5
    restored, reference = outcome.restored.pixels_HWC / 255.0, outcome.loaded.image.pixels_HWC / 255.0
    residual = (restored - reference)[shown]
    assert 0.1 < 1 - shown.mean() < 0.4
    assert outcome.fields["consistency"] == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-5)


def test_enlarging_loses_detail_that_shrinking_again_shows():
    """The input's own score is that of MATLAB bicubic: the same as the restorer of that name."""
    fields = outcome_of("bicubic-x4", "bicubic", height=160).fields  # 40 rows: two tiles
    assert 0.001 < fields["consistency"] < 0.1
    assert fields["consistency"] < fields["consistency_worst_tile"]
    assert fields["consistency"] == pytest.approx(fields["consistency_degraded"], rel=1e-9)


def test_what_lies_outside_the_data_does_not_count():
    """Blur carries it inside: restored garbage there must not be taken for an inconsistency."""
    valid_HW = np.ones((64, 96), bool)
    valid_HW[:, 40:60] = False
    for name in ("blur", "bicubic-x4"):
        case = case_of(loaded(photograph(3, 64, 96), valid_HW), degradation(name))
        garbage = case.reference_1CHW.where(torch.from_numpy(valid_HW), 9.0)
        for metric in (METRICS["consistency"], METRICS["consistency_worst_tile"]):
            assert metric(*with_input(garbage, [case], 0)).item() == 0.0
            assert metric(*with_input(garbage + 0.1, [case], 0)).item() > 0.05


def restored_by(name: str, valid_HW: np.ndarray | None, height: int, width: int):
    """What a restore run makes of an image; its input and its result as fractions of 255, float64."""
    job = restore("in", "out", restorers=[name], metrics=["consistency", "consistency_worst_tile"])
    (outcome,) = Processor(Recipe.of(job), CPU)([loaded(photograph(3, height, width), valid_HW)])
    assert outcome.error is None, outcome.error
    found = outcome.loaded.image.pixels_HWC / 255.0, outcome.restored.pixels_HWC / 255.0
    return outcome.fields, *found


def matlab_bicubic(image_HWC: np.ndarray, scale: int) -> np.ndarray:
    """``imresize(image, 1 / scale)``: Keys' cubic, ``scale`` times as wide, edges mirrored."""
    taps = np.arange(-2 * scale, 3 * scale)
    x = np.abs(taps - (scale - 1) / 2) / scale
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x <= 1, near, np.where(x < 2, far, 0))
    for _ in range(2):
        padded = np.pad(image_HWC, ((2 * scale, 3 * scale), (0, 0), (0, 0)), mode="symmetric")
        shifted = [padded[i : i + len(image_HWC) : scale] * w for i, w in enumerate(weights / weights.sum())]
        image_HWC = np.sum(shifted, axis=0).transpose(1, 0, 2)
    return image_HWC


def by_hand(residual_HWC: np.ndarray, known_HW: np.ndarray) -> tuple[float, float]:
    """Over the image, and over its worst tile of 32 x 32; its sides are 40 and 64."""
    squared = np.where(known_HW[..., None], residual_HWC, 0) ** 2
    tiles = [np.s_[y : y + 32, x : x + 32] for y in (0, 8) for x in (0, 32)]
    means = [squared[t].mean() / known_HW[t].mean() for t in tiles if known_HW[t].mean() >= 0.5]
    return np.sqrt(squared.mean() / known_HW.mean()), np.sqrt(max(means))


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize(("name", "scale"), [("median", 1), ("srvgg-x4", 4)])
def test_a_restored_image_owes_its_input_at_the_input_s_size(name, scale, holes):
    """No degradation is known; what rests on pixels outside the data does not count."""
    valid_HW = np.ones((40, 64), bool)
    valid_HW[5:30, 3:20] = valid_HW[38, 60] = not holes
    fields, input_HWC, restored_HWC = restored_by(name, valid_HW, 40, 64)
    known_HW = valid_HW
    if scale != 1:
        assert restored_HWC.shape == (160, 256, 3)
        restored_HWC = matlab_bicubic(restored_HWC, scale)
        known_HW = scipy.ndimage.binary_erosion(valid_HW, np.ones((5, 5)), border_value=1)
    image, worst = by_hand(restored_HWC - input_HWC, known_HW)
    assert fields["consistency"] == pytest.approx(image, rel=1e-5)
    assert fields["consistency_worst_tile"] == pytest.approx(worst, rel=1e-5)
    assert 0.003 < image < worst
    assert not {"consistency_degraded", "consistency_worst_tile_degraded"} & set(fields)


def test_nothing_restored_is_moved_by_nothing():
    fields, _, _ = restored_by("identity", None, 40, 64)
    assert fields["consistency"] == fields["consistency_worst_tile"] == 0.0


def test_worst_tile_finds_a_small_patch_wherever_it_lies():
    """An image of 70 x 50: the last tiles are moved inside."""
    input_1CHW = torch.zeros(1, 2, 70, 50)
    for top, left in ((0, 0), (66, 46), (35, 10)):
        again = input_1CHW.clone()
        again[:, :, top : top + 4, left : left + 4] = 0.5
        expected = np.sqrt(0.25 * 16 / 32**2)
        assert METRICS["consistency_worst_tile"](again, input_1CHW, None).item() == pytest.approx(expected)
        whole = np.sqrt(0.25 * 16 / (70 * 50))
        assert METRICS["consistency"](again, input_1CHW, None).item() == pytest.approx(whole)
