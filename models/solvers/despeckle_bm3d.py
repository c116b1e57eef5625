"""BM3D on logarithms, against speckle.

Speckle multiplies; its logarithm adds noise of a known mean and variance, which no more depends on the image
(Arsenault and April 1976). Xie, Pierce and Ulaby 2002, "Statistical properties of logarithmically transformed
speckle", give both: ``digamma(looks) - log(looks)`` and ``trigamma(looks)``. The mean is taken away; what
the exponential of a smoothed logarithm still loses is given back by the image's own mean, which speckle
leaves as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.block_transforms import SIDE
from models.solvers.bm3d import denoise
from models.solvers.solver import Solver, choice, number

_LEAST = 1e-3
"""Smallest intensity whose logarithm is taken: a quarter of an 8-bit step."""
_RANGE = 6.0
"""What the logarithms are divided by: that of 8-bit values span so much, and BM3D expects about [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class DespeckleBm3d(Solver):
    """For intensities or amplitudes of a known number of looks."""

    name: ClassVar[str] = "despeckle_bm3d"

    looks: float = number(1.0, 0.5, 1000.0)
    """The equivalent number of looks."""
    domain: str = choice("intensity", "amplitude")
    """What the pixels are."""

    def card(self, name: str) -> Card:
        """Tiles are never exact: see ``bm3d``."""
        return Card(
            name=name,
            summary=f"BM3D on the logarithm of {self.domain} images of {self.looks:g} looks, without bias.",
            task="denoising",
            minimum_size=SIDE,
            halo=None,
            tile_exact=False,
            source="Dabov et al. 2007; Xie, Pierce and Ulaby, IEEE TGRS 2002",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW, nowhere negative."""
        power = 2 if self.domain == "amplitude" else 1
        intensity_BCHW = degraded_BCHW.clamp(min=0) ** power
        mean, deviation = log_speckle(self.looks)
        log_BCHW = intensity_BCHW.clamp(min=_LEAST).log()
        # Logarithms of almost black pixels lie far below what any scene holds.
        floor = log_BCHW.flatten(1).median(dim=1).values - 4 * deviation - 3
        log_BCHW = torch.maximum(log_BCHW, floor[:, None, None, None]) - mean
        smooth_BCHW = _RANGE * torch.stack([denoise(log / _RANGE, deviation / _RANGE) for log in log_BCHW])
        restored_BCHW = smooth_BCHW.exp()
        means = [image.mean(dim=(-2, -1), keepdim=True) for image in (intensity_BCHW, restored_BCHW)]
        restored_BCHW = restored_BCHW * means[0] / means[1]
        return restored_BCHW ** (1 / power)


def log_speckle(looks: float) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm of intensity speckle of mean 1."""
    count = torch.tensor(looks, dtype=torch.float64)
    mean = float(torch.special.digamma(count)) - math.log(looks)
    return mean, math.sqrt(float(torch.special.polygamma(1, count)))
