"""How far a restorer is from the truth, or a direction towards it, without the truth.

``sure``: Stein 1981, "Estimation of the mean of a multivariate normal distribution", by Ramani, Blu and Unser
2008 ("Monte-Carlo SURE"): probes are noise of the archive's own covariance. ``recorrupted``: Pang et al.,
"Recorrupted-to-Recorrupted", CVPR 2021. ``neighbor2neighbor``: Huang et al., CVPR 2021, with its regulariser.
``noise2void``: Krull et al., CVPR 2019. The last two take noise of neighbours for independent.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from pipeline.training.adaptation.archive_noise import ArchiveNoise
from pipeline.training.data.neighbor2neighbor import draw_neighbor_pair
from pipeline.training.data.noise2void import hide_pixels

Restore = Callable[[Tensor], Tensor]
"""BCHW to BCHW in [0, 1], with gradients."""
AdaptationLoss = Callable[[Restore, Tensor, ArchiveNoise, Generator], Tensor]

_PROBE = 0.1
"""Of the noise: how far a probe goes."""
_RECORRUPTED = 0.5


def sure_parts(
    restore: Restore, noisy_BCHW: Tensor, noise: ArchiveNoise, rng: Generator
) -> tuple[Tensor, Tensor]:
    """B: mean square of what the restorer takes away, and the mean of noise that it lets through, twice.

    Their sum less the noise's variance is an unbiased estimate of the mean square error.
    """
    probe_BCHW = noise.draw(noisy_BCHW, rng)
    restored_BCHW = restore(noisy_BCHW)
    moved_BCHW = restore(noisy_BCHW + _PROBE * probe_BCHW) - restored_BCHW
    taken_B = (restored_BCHW - noisy_BCHW).square().mean((1, 2, 3))
    return taken_B, 2 * (probe_BCHW * moved_BCHW).mean((1, 2, 3)) / _PROBE


def sure(restore: Restore, noisy_BCHW: Tensor, noise: ArchiveNoise, rng: Generator) -> Tensor:
    """Mean square error but for the noise's own variance, which no weight changes."""
    taken_B, passed_B = sure_parts(restore, noisy_BCHW, noise, rng)
    return (taken_B + passed_B).mean()


def recorrupted(restore: Restore, noisy_BCHW: Tensor, noise: ArchiveNoise, rng: Generator) -> Tensor:
    """Twice-noised images whose noises are independent: one is learnt from the other."""
    drawn_BCHW = noise.draw(noisy_BCHW, rng)
    restored_BCHW = restore(noisy_BCHW + _RECORRUPTED * drawn_BCHW)
    return (restored_BCHW - (noisy_BCHW - drawn_BCHW / _RECORRUPTED)).square().mean()


def neighbor2neighbor(restore: Restore, noisy_BCHW: Tensor, noise: ArchiveNoise, rng: Generator) -> Tensor:
    """One of two neighbouring pixels from the other."""
    seeds = torch.randint(2**31, (len(noisy_BCHW),), generator=rng).tolist()
    first_BChw, second_BChw = draw_neighbor_pair(noisy_BCHW, seeds)
    with torch.no_grad():
        clean_first_BChw, clean_second_BChw = draw_neighbor_pair(restore(noisy_BCHW), seeds)
    error_BChw = restore(first_BChw) - second_BChw
    apart_BChw = error_BChw - (clean_first_BChw - clean_second_BChw)
    return error_BChw.square().mean() + apart_BChw.square().mean()


def noise2void(restore: Restore, noisy_BCHW: Tensor, noise: ArchiveNoise, rng: Generator) -> Tensor:
    """Hidden pixels from those around them."""
    seeds = torch.randint(2**31, (len(noisy_BCHW),), generator=rng).tolist()
    hidden_BCHW, mask_B1HW = hide_pixels(noisy_BCHW, seeds)
    weight_B1HW = 1 - mask_B1HW
    missed_BCHW = (restore(hidden_BCHW) - noisy_BCHW).square() * weight_B1HW
    return missed_BCHW.sum() / (weight_B1HW.sum() * noisy_BCHW.shape[1])


ADAPTATION_LOSSES: dict[str, AdaptationLoss] = {
    "sure": sure,
    "recorrupted": recorrupted,
    "neighbor2neighbor": neighbor2neighbor,
    "noise2void": noise2void,
}
"""What ``restora adapt --loss`` takes."""
