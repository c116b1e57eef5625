"""Losses that compare pixel by pixel.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from models.losses.loss import require_number


@dataclass(frozen=True, kw_only=True)
class L1:
    """Mean absolute error."""

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """A scalar in [0, 1] for images in [0, 1]."""
        return F.l1_loss(restored_BCHW, target_BCHW)


@dataclass(frozen=True, kw_only=True)
class MSE:
    """Mean squared error."""

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """A scalar in [0, 1] for images in [0, 1]."""
        return F.mse_loss(restored_BCHW, target_BCHW)


@dataclass(frozen=True, kw_only=True)
class Charbonnier:
    """``mean sqrt(d^2 + epsilon^2)``: absolute error, rounded off at zero.

    Lai et al., "Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution", CVPR 2017,
    section 3.3.
    """

    epsilon: float = 1e-3
    """Errors below this count by their square."""

    def __post_init__(self) -> None:
        require_number("charbonnier", 1e-12, epsilon=self.epsilon)

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """A scalar, ``epsilon`` at best."""
        return ((restored_BCHW - target_BCHW).square() + self.epsilon**2).sqrt().mean()


@dataclass(frozen=True, kw_only=True)
class PSNR:
    """Peak signal-to-noise ratio in dB with its sign turned: ``10 log10(mse + epsilon)``, mean over images.

    Chen et al., "HINet: Half Instance Normalization Network for Image Restoration", CVPR workshops 2021,
    section 3.3; NAFNet trains with it. Each image counts alike, however bad it is.
    """

    epsilon: float = 1e-8
    """Keeps the gradient finite where an image is right; 80 dB is then the best score."""

    def __post_init__(self) -> None:
        require_number("psnr", 1e-30, epsilon=self.epsilon)

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """A scalar, negative for images in [0, 1]."""
        mse_B = (restored_BCHW - target_BCHW).square().mean(dim=(1, 2, 3))
        return 10.0 / math.log(10.0) * (mse_B + self.epsilon).log().mean()
