"""Losses that weigh known and missing pixels differently: inpainting, and training without clean targets.

Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions", ECCV 2018, section 3.3,
equation 4 and 7 (known 1, missing 6); Suvorov et al., LaMa, WACV 2022 (known 10, missing 0); Krull,
Buchholz and Jug, "Noise2Void", CVPR 2019, section 3.2 (known 0, missing alone).

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.losses.loss import require_number


@dataclass(frozen=True, kw_only=True)
class _Weights:
    """Weights of the two kinds of pixels; both sums are divided by the number of all pixels."""

    needs_mask: ClassVar[bool] = True

    known: float = 1.0
    """Weight of pixels where the mask is 1."""
    missing: float = 6.0
    """Weight of pixels where the mask is 0."""

    def __post_init__(self) -> None:
        require_number("masked loss", 0.0, known=self.known, missing=self.missing)
        if not self.known and not self.missing:
            raise ValueError(
                "masked loss: known and missing are both 0, so that nothing is learnt; raise one"
            )

    def _mean(self, error_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
        weight_B1HW = self.missing + (self.known - self.missing) * mask_B1HW
        return (weight_B1HW * error_BCHW).mean()


@dataclass(frozen=True, kw_only=True)
class MaskedL1(_Weights):
    """``known * |mask d|_1 / N + missing * |(1 - mask) d|_1 / N``, with N all values of an image."""

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
        """A scalar; ``mask_B1HW`` is 1 where a pixel was known."""
        return self._mean((restored_BCHW - target_BCHW).abs(), mask_B1HW)


@dataclass(frozen=True, kw_only=True)
class MaskedMSE(_Weights):
    """As ``MaskedL1``, of squares."""

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
        """A scalar; ``mask_B1HW`` is 1 where a pixel was known."""
        return self._mean((restored_BCHW - target_BCHW).square(), mask_B1HW)
