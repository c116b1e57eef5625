"""Scores of pairs that are not registered: the definition in NumPy, and what they undo exactly."""

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import structural_similarity

from pipeline.metrics import METRICS

SHIFTS = [(0, 0), (3, -3), (-2, 1)]
BIAS = 0.125


def photograph() -> np.ndarray:
    """64 x 60 grey, in steps of 1/256 so that a bias of 1/8 is added without rounding."""
    return data.camera()[100:164, 200:260] / 256


def moved(image: np.ndarray, down: int, right: int, bias: float) -> np.ndarray:
    """What a camera a few pixels aside sees of a larger scene; brighter."""
    scene = np.pad(image, 3, mode="reflect")
    return scene[3 + down : 3 + down + image.shape[0], 3 + right : 3 + right + image.shape[1]] + bias


def score(name: str, restored: np.ndarray, reference: np.ndarray, clear: np.ndarray | None = None) -> float:
    planes = (torch.from_numpy(image).float()[None, None] for image in (restored, reference))
    return METRICS[name](*planes, None if clear is None else torch.from_numpy(clear)[None, None]).item()


@pytest.mark.parametrize(("down", "right"), SHIFTS)
def test_a_planted_shift_and_bias_are_undone_exactly(down, right):
    reference = photograph()
    restored = moved(reference, down, right, BIAS)
    assert score("cpsnr", restored, reference) == np.inf
    assert score("cssim", restored, reference) == 1.0
    assert score("psnr", restored, reference) < 19


def test_a_shift_beyond_three_pixels_is_not():
    reference = data.camera()[100:180, 200:280] / 256
    assert score("cpsnr", reference[8:72, 10:70], reference[4:68, 10:70]) < 40
    assert score("cpsnr", reference[8:72, 10:70], reference[5:69, 10:70]) == np.inf


def definition(restored: np.ndarray, reference: np.ndarray, clear: np.ndarray) -> tuple[float, float]:
    """cPSNR and cSSIM as the challenge has them: a loop over shifts; the mask is the reference's."""
    height, width = reference.shape[0] - 6, reference.shape[1] - 6
    cut = restored[3:-3, 3:-3]
    psnrs, ssims = [], []
    for u in range(7):
        for v in range(7):
            window, mask = (each[u : u + height, v : v + width] for each in (reference, clear))
            corrected = cut + (window - cut)[mask].mean()
            psnrs.append(-10 * np.log10(np.square(window - corrected)[mask].mean()))
            options = {
                "gaussian_weights": True,
                "sigma": 1.5,
                "use_sample_covariance": False,
                "data_range": 1,
            }
            whole = np.lib.stride_tricks.sliding_window_view(mask, (11, 11)).all(axis=(2, 3))
            _, similarity = structural_similarity(corrected, window, full=True, **options)
            ssims.append(similarity[5:-5, 5:-5][whole].mean())
    return max(psnrs), max(ssims)


def test_the_definition_of_the_challenge():
    rng = np.random.default_rng(0)
    reference = photograph()
    restored = moved(reference, 2, -1, 0.05) + rng.normal(0, 0.02, reference.shape)
    clear = np.ones(reference.shape, bool)
    clear[10:14, 20:30] = False
    clouded = np.where(clear, reference, 1.0)
    psnr, ssim = definition(restored, clouded, clear)
    assert score("cpsnr", restored, clouded, clear) == pytest.approx(psnr, abs=1e-5)
    assert score("cssim", restored, clouded, clear) == pytest.approx(ssim, abs=1e-6)
    assert psnr > score("psnr", restored, clouded, clear) + 8


def test_pixels_without_data_of_the_restored_image_do_not_count():
    reference = photograph()
    restored = moved(reference, 1, 1, 0.0)
    restored[30:36, 30:36] = np.nan
    assert score("cpsnr", restored, reference) == np.inf
    assert score("cssim", restored, reference) == 1.0
    assert np.isnan(score("cpsnr", restored * np.nan, reference))
