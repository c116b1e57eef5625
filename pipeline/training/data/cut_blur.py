"""CutBlur: part of a degraded image is the true one, or all but a part.

Yoo et al., "Rethinking Data Augmentation for Image Super-resolution", CVPR 2020, section 3: who sees
where nothing is wrong learns how much to restore, not only how.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from models.operators.draws import integer, uniform
from pipeline.hashing import seed_of

SIDE = 0.7
"""Of the rectangle, as a share of the image's (section 4)."""


def cut_blur(degraded_BCHW: Tensor, target_BCHW: Tensor, seeds: Sequence[int], chance: float) -> Tensor:
    """Each image, with this chance, with a rectangle of the target in it, or the target with one of it.

    A function of each sample's seed alone. Both images are of one size.
    """
    assert degraded_BCHW.shape == target_BCHW.shape, (degraded_BCHW.shape, target_BCHW.shape)
    is_true_BHW = torch.stack([_is_true(seed, chance, *degraded_BCHW.shape[2:]) for seed in seeds])
    return torch.where(is_true_BHW[:, None].to(degraded_BCHW.device), target_BCHW, degraded_BCHW)


def _is_true(seed: int, chance: float, height: int, width: int) -> Tensor:
    """HW: whether a pixel is the target's."""
    rng = Generator().manual_seed(seed_of(str(seed), "cut_blur"))
    is_true_HW = torch.zeros(height, width, dtype=torch.bool)
    if uniform(0, 1, rng) >= chance:
        return is_true_HW
    sides = round(SIDE * height), round(SIDE * width)
    top, left = integer(0, height - sides[0], rng), integer(0, width - sides[1], rng)
    is_true_HW[top : top + sides[0], left : left + sides[1]] = True
    return ~is_true_HW if uniform(0, 1, rng) < 0.5 else is_true_HW
