"""Sub-pixel convolution: enlarging by convolutions and pixel shuffles.

Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
Convolutional Neural Network", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from models.networks.receptive_field import Window

SCALES = (2, 3, 4, 8)
"""What the networks that use this can enlarge by."""


def factors(scale: int) -> list[int]:
    """The steps to ``scale``: twice as large each, or three times."""
    return [3] if scale == 3 else [2] * (scale.bit_length() - 1)


class SubPixelUpsampling(nn.Sequential):
    """For each step a 3 x 3 convolution, a pixel shuffle and, if given, an activation."""

    def __init__(self, features: int, scale: int, activation: Callable[[], nn.Module] | None = None) -> None:
        layers: list[nn.Module] = []
        for factor in factors(scale):
            layers += [nn.Conv2d(features, features * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
            layers += [activation()] if activation else []
        super().__init__(*layers)
        self.scale = scale

    def window(self, window: Window) -> Window:
        """What is needed of the input for a window of the output."""
        for factor in reversed(factors(self.scale)):
            window = window.before_enlarging(factor).before_convolution(3)
        return window
