"""Wiener filtering of a known blur with a Gaussian prior on the image's gradient.

Wiener 1949; in this form Hunt 1973, "The application of constrained least squares estimation to image
restoration by digital computer", whose rule also finds the balance: what the restored image leaves
unexplained must be as large as the noise. The gradient stands in place of Hunt's Laplacian, because the
spectrum of photographs falls as 1/f^2 (Field 1987).

Shapes: B batch, C channels, K kernel side, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.boundary import double_mirrored
from models.solvers.point_spread import gradient_energy, multiplicity, point_spread, transfer_function
from models.solvers.solver import Solver, noise_level_of, number

_LEAST_BALANCE, _MOST_BALANCE = 1e-6, 1e4
_HALVINGS = 24
"""Of the interval of the balance's logarithm: leaves less than one part in 10^5."""


@dataclass(frozen=True, kw_only=True)
class Wiener(Solver):
    """``min_x |k * x - y|^2 + balance |gradient x|^2`` in closed form, edges mirrored."""

    name: ClassVar[str] = "wiener"

    balance: float | None = number(None, 0.0, 1e6)
    """Weight of the gradient against the residual; nothing finds it from the noise level."""

    def card(self, name: str) -> Card:
        """Every pixel can matter: the inverse of a blur has no end."""
        needs = ("operators", "noise_level") if self.balance is None else ("operators",)
        return Card(
            name=name,
            summary="Wiener filter for a known blur, with the spectrum of photographs as prior.",
            task="deblurring",
            halo=None,
            tile_exact=False,
            needs=needs,
            source="Hunt 1973; Field 1987, Relations between the statistics of natural images",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        channels, height, width = degraded_BCHW.shape[1:]
        kernel_CKK = point_spread(condition.operators, channels, degraded_BCHW)
        periodic_BCHW = double_mirrored(degraded_BCHW)
        if self.balance is None:
            noise_level_B111 = noise_level_of(condition, degraded_BCHW)
            balance_B111 = find_balance(periodic_BCHW, kernel_CKK, noise_level_B111)
        else:
            balance_B111 = degraded_BCHW.new_full((degraded_BCHW.shape[0], 1, 1, 1), self.balance)
        return wiener_filter(periodic_BCHW, kernel_CKK, balance_B111)[..., :height, :width]


def wiener_filter(image_BCHW: Tensor, kernel_CKK: Tensor, balance_B111: Tensor) -> Tensor:
    """The filter on a periodic image: ``conj(K) / (|K|^2 + balance |D|^2)`` in the Fourier domain."""
    height, width = image_BCHW.shape[-2:]
    transfer_CHW = transfer_function(kernel_CKK, height, width)
    penalty_BCHW = balance_B111 * gradient_energy(height, width, image_BCHW)
    power_BCHW = transfer_CHW.abs().square() + penalty_BCHW
    # Where the blur leaves nothing and nothing is asked of the gradient, 0 is the least-squares answer.
    filter_BCHW = torch.where(power_BCHW > 0, transfer_CHW.conj() / power_BCHW, 0.0)
    restored_BCHW: Tensor = torch.fft.irfft2(filter_BCHW * torch.fft.rfft2(image_BCHW), s=(height, width))
    return restored_BCHW


def find_balance(image_BCHW: Tensor, kernel_CKK: Tensor, noise_level_B111: Tensor) -> Tensor:
    """B111: the balance at which the mean squared residual ``|k * x - y|^2`` is the noise variance.

    The residual grows with the balance, so halving the interval finds it (Hunt 1973, section IV);
    no transform is needed in between, by Parseval's theorem.
    """
    height, width = image_BCHW.shape[-2:]
    blur_CHW = transfer_function(kernel_CKK, height, width).abs().square()
    slope_HW = gradient_energy(height, width, image_BCHW)
    power_BCHW = torch.fft.rfft2(image_BCHW, norm="ortho").abs().square() * multiplicity(width, image_BCHW)
    pixels = image_BCHW[0].numel()
    low_B111 = torch.full_like(noise_level_B111, _LEAST_BALANCE).log()
    high_B111 = torch.full_like(noise_level_B111, _MOST_BALANCE).log()
    for _ in range(_HALVINGS):
        middle_B111 = (low_B111 + high_B111) / 2
        penalty_BCHW = middle_B111.exp() * slope_HW
        left_BCHW = (penalty_BCHW / (blur_CHW + penalty_BCHW).clamp(min=1e-30)).square() * power_BCHW
        too_much_B111 = left_BCHW.sum(dim=(1, 2, 3), keepdim=True) / pixels > noise_level_B111.square()
        high_B111 = torch.where(too_much_B111, middle_B111, high_B111)
        low_B111 = torch.where(too_much_B111, low_B111, middle_B111)
    return middle_B111.exp()
