"""LaMa: inpainting of large holes with a receptive field as large as the image.

Suvorov et al., "Resolution-robust Large Mask Inpainting with Fourier Convolutions", WACV 2022,
sections 2.1 and 3 (LaMa-Fourier; 18 blocks make Big LaMa).

Shapes: B batch, C channels, H and W height and width, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.networks.arguments import require_at_least
from models.networks.fourier_convolution import FourierConvolution

GLOBAL_SHARE = 0.75
"""Channels of the blocks that see the whole image (section 3)."""


class ResidualBlock(nn.Module):
    """Two Fourier convolutions beside the identity."""

    def __init__(self, features: int) -> None:
        super().__init__()
        local = features - round(features * GLOBAL_SHARE)
        self.body = nn.Sequential(*(FourierConvolution(features, local) for _ in range(2)))

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        added_BFHW: Tensor = self.body(features_BFHW)
        return features_BFHW + added_BFHW


class LaMa(nn.Module):
    """``network(image_BCHW, mask_B1HW)``: the image with its holes filled, in [0, 1].

    The image is in [0, 1]; what it holds in the holes is not looked at. The mask is 1 where a pixel is
    known. Known pixels come back as they are; ``predict`` gives the network's own picture everywhere,
    as a loss on known pixels needs it. Height and width must be multiples of 8, at least 16.
    27,048,835 parameters with 9 blocks, 50,975,875 with 18. Weights start as PyTorch's layers do, as
    in the authors' code.
    """

    conditions: ClassVar[Sequence[str]] = ("mask",)
    multiple_of = 8
    minimum_size = 16
    halo = None
    """Fourier units let every pixel matter."""

    def __init__(self, channels: int = 3, features: int = 64, blocks: int = 9) -> None:
        super().__init__()
        require_at_least("LaMa", 1, channels=channels, features=features, blocks=blocks)
        self.channels = channels
        layers = [nn.ReflectionPad2d(3), *_convolution(channels + 1, features, 7)]
        for level in range(3):
            width = features << level
            layers += [nn.ReflectionPad2d(1), *_convolution(width, 2 * width, 3, 2)]
        layers += [ResidualBlock(8 * features) for _ in range(blocks)]
        for level in reversed(range(3)):
            layers += _enlarging(features << level)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(features, channels, 7), nn.Sigmoid()]
        self.body = nn.Sequential(*layers)

    def predict(self, image_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
        """The network's own picture, known pixels too."""
        predicted_BCHW: Tensor = self.body(torch.cat((image_BCHW * mask_B1HW, 1 - mask_B1HW), dim=1))
        return predicted_BCHW

    def forward(self, image_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
        """Known pixels as given, the others as predicted."""
        return torch.where(mask_B1HW > 0.5, image_BCHW, self.predict(image_BCHW, mask_B1HW))


def _convolution(inner: int, outer: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inner, outer, kernel, stride, bias=False)
    return [convolution, nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]


def _enlarging(outer: int) -> list[nn.Module]:
    convolution = nn.ConvTranspose2d(2 * outer, outer, 3, 2, padding=1, output_padding=1)
    return [convolution, nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
