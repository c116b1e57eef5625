"""Denoising by soft thresholds on wavelet details.

Chang, Yu and Vetterli 2000, "Adaptive wavelet thresholding for image denoising and compression"
(BayesShrink), averaged over shifts as in Coifman and Donoho 1995, "Translation-invariant de-noising".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.boundary import pad_mirrored
from models.solvers.solver import Solver, noise_level_of, whole
from models.solvers.wavelets import decompose, recompose


@dataclass(frozen=True, kw_only=True)
class WaveletShrinkage(Solver):
    """A threshold per sub-band, ``noise variance / standard deviation of the clean details``."""

    name: ClassVar[str] = "wavelet_shrinkage"

    moments: int = whole(2, 1, 10)
    """Vanishing moments of Daubechies' wavelet: 1 is Haar's, 2 is db2."""
    levels: int = whole(4, 1, 10)
    """How often the image is halved."""
    shifts: int = whole(4, 1, 16)
    """Results of this many diagonal shifts are averaged; 1 shows the wavelet's grid."""

    def card(self, name: str) -> Card:
        """Not exact under tiling: thresholds come from the whole image."""
        return Card(
            name=name,
            summary="BayesShrink: soft thresholds on wavelet details, averaged over shifts.",
            task="denoising",
            halo=None,
            tile_exact=False,
            needs=("noise_level",),
            source="Chang, Yu and Vetterli 2000; Coifman and Donoho 1995",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        height, width = degraded_BCHW.shape[-2:]
        level_B111 = noise_level_of(condition, degraded_BCHW)
        grain, margin = 2**self.levels, 2 * self.moments
        # The margin keeps the periodic ends apart; the rest makes the sides divisible by the grain.
        side = margin + grain
        padded_BCHW = pad_mirrored(degraded_BCHW, side)
        padded_BCHW = padded_BCHW[..., : _fit(height, side, grain), : _fit(width, side, grain)]
        total_BCHW = torch.zeros_like(padded_BCHW)
        for shift in range(self.shifts):
            shifted_BCHW = padded_BCHW.roll((shift, shift), dims=(-2, -1))
            total_BCHW += self._shrink(shifted_BCHW, level_B111, self.levels).roll(
                (-shift, -shift), dims=(-2, -1)
            )
        return total_BCHW[..., side : side + height, side : side + width] / self.shifts

    def _shrink(self, image_BCHW: Tensor, level_B111: Tensor, levels: int) -> Tensor:
        coarse_BCHW, details_3BCHW = decompose(image_BCHW, self.moments)
        if levels > 1:
            coarse_BCHW = self._shrink(coarse_BCHW, level_B111, levels - 1)
        return recompose(coarse_BCHW, soft_threshold(details_3BCHW, level_B111), self.moments)


def soft_threshold(details_3BCHW: Tensor, level_B111: Tensor) -> Tensor:
    """Each sub-band of each channel with its own BayesShrink threshold (Chang 2000, equations 11 to 14)."""
    noise_B111 = level_B111.square()
    power_3BC11 = details_3BCHW.square().mean(dim=(-2, -1), keepdim=True)
    signal_3BC11 = (power_3BC11 - noise_B111).clamp(min=1e-12).sqrt()
    threshold_3BC11 = noise_B111 / signal_3BC11
    return details_3BCHW.sign() * (details_3BCHW.abs() - threshold_3BC11).clamp(min=0)


def _fit(length: int, side: int, grain: int) -> int:
    """Length with the whole margin before, at least ``side - grain`` behind, and a multiple of the grain."""
    return (length + 2 * side) // grain * grain
