"""Scores of patches: planted structures stand out of noise, patch by patch, whatever is beside them."""

import torch

from models.unsupported import PATCH, detail_scores, patches, residual_scores

SIGMA = 20 / 255


def noise(height=40, width=56, channels=1, seed=0):
    return SIGMA * torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(seed))


def test_a_structure_that_the_input_lacks_is_found_in_its_patch_alone():
    clean = torch.full((2, 1, 40, 56), 0.5)
    restored = clean.clone()
    restored[1, :, 20:26, 36:42] += 0.1
    level_B = torch.full((2,), SIGMA)
    score = patches(residual_scores(restored, clean + noise(), level_B, None), 40, 56)
    assert score.shape == (2, 3, 4)
    assert bool((score[0] < 5).all())
    # A mean of 36 pixels that is off by 0.1, in standard deviations of the noise's own mean.
    assert abs(float(score[1, 1, 2]) - 0.1 * 36 / 5 / SIGMA) < 3
    others = score[1].clone()
    others[1, 2] = 0
    assert bool((others < 5).all())


def test_pixels_that_are_not_known_agree_with_everything():
    again, degraded = torch.ones(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    known = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    assert float(residual_scores(again, degraded, torch.tensor([SIGMA]), known).max()) == 0.0


def test_detail_beyond_what_the_input_lets_expect():
    degraded = torch.linspace(0.2, 0.8, 32).expand(1, 1, 32, 32)
    smooth = torch.linspace(0.2, 0.8, 128).expand(1, 1, 128, 128).clone()
    invented = smooth.clone()
    invented[..., 84:116, 84:116] += 0.1 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2 - 0.5)
    before, after = (patches(detail_scores(each, degraded), 32, 32) for each in (smooth, invented))
    assert before.shape == after.shape == (1, 2, 2)
    assert float(before.max()) < 1
    assert float(after[0, 1, 1]) > 4
    assert float(after[0, 0, 0]) < 1
    assert PATCH == 16
