"""Layers with equalised learning rate: weights from N(0, 1), scaled at run time.

Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", ICLR 2018,
section 4.1.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RELU_GAIN = math.sqrt(2)


class EqualisedConv2d(nn.Module):
    """A convolution that keeps the size, with He's constant applied at run time; input BIHW, output BOHW."""

    def __init__(self, inner: int, outer: int, kernel: int = 3, gain: float = RELU_GAIN) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outer))
        self.factor, self.padding = gain / math.sqrt(inner * kernel**2), kernel // 2

    def forward(self, features_BIHW: Tensor) -> Tensor:
        """The same height and width."""
        return F.conv2d(features_BIHW, self.weight * self.factor, self.bias, padding=self.padding)


class EqualisedLinear(nn.Module):
    """A dense layer with He's constant applied at run time; input BI, output BO."""

    def __init__(self, inner: int, outer: int, gain: float = RELU_GAIN, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner))
        self.bias = nn.Parameter(torch.zeros(outer)) if bias else None
        self.factor = gain / math.sqrt(inner)

    def forward(self, features_BI: Tensor) -> Tensor:
        """BO."""
        return F.linear(features_BI, self.weight * self.factor, self.bias)


def pixel_norm(features_BFHW: Tensor) -> Tensor:
    """Each pixel's features divided by their root mean square (section 4.2)."""
    mean_square = (
        features_BFHW.to(torch.promote_types(features_BFHW.dtype, torch.float32))
        .square()
        .mean(1, keepdim=True)
    )
    return features_BFHW * (mean_square + 1e-8).rsqrt().to(features_BFHW.dtype)


def growing_widths(image_size: int, features: int, widest: int) -> list[int]:
    """Channels at 4 x 4, 8 x 8, ... ``image_size``: ``features`` halved with each step, at most ``widest``.

    Raises ``ValueError`` where a layer would have none.
    """
    steps = image_size.bit_length() - 2
    widths = [min(features >> (step + 1), widest) for step in range(steps)]
    if widths[-1] < 1:
        raise ValueError(f"features must be {2**steps} or more for images of {image_size}, got {features}")
    return widths
