"""PanNet: details of a guide put onto each band of a coarser image, learnt in the high frequencies.

Yang et al., "PanNet: A Deep Network Architecture for Pan-Sharpening", ICCV 2017: the network sees high-passed
images alone, and what it finds is added to the enlarged bands. It differs from the paper in that every band
goes through the same weights with a guide of its own (``models.guides.matching``), in that convolutions work
at the image's size, and in having no biases: ``a`` times the image and the guide give ``a`` times the result.

Shapes: B batch, C channels, h and w height and width of the image, H and W of the guide, s the scale.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least
from models.networks.initialisation import initialise_residual

_REACH = 2
"""Pixels of the image on each side of one whose mean is what is smooth there."""


class PanNet(nn.Module):
    """BChw and a guide BCHW -> BCHW, not clipped; any number of bands, whatever it was trained with."""

    multiple_of = 1
    minimum_size = 1
    any_channels = True
    conditions = ("guide",)

    def __init__(self, channels: int = 3, features: int = 32, layers: int = 6, scale: int = 2) -> None:
        super().__init__()
        require_at_least("PanNet", 1, channels=channels, features=features, layers=layers, scale=scale)
        self.channels, self.layers, self.scale = channels, layers, scale
        widths = [scale**2 + 2, *[features] * layers]
        self.body = nn.ModuleList(nn.Conv2d(*each, 3, padding=1, bias=False) for each in pairwise(widths))
        self.tail = nn.Conv2d(features, scale**2, 3, padding=1, bias=False)
        initialise_residual([self.tail])

    @property
    def halo(self) -> int:
        """Radius of the receptive field in input pixels: of the mean, and one for each convolution."""
        return _REACH + self.layers + 1

    def forward(self, image_BChw: Tensor, guide_BCHW: Tensor) -> Tensor:
        """The sharper image."""
        batch, channels, height, width = image_BChw.shape
        band_N1hw = image_BChw.reshape(-1, 1, height, width)
        guide_N1HW = guide_BCHW.reshape(-1, 1, *guide_BCHW.shape[-2:])
        coarse_N1hw = F.avg_pool2d(guide_N1HW, self.scale)
        details_N1HW = guide_N1HW - self._enlarged(coarse_N1hw)
        seen = [F.pixel_unshuffle(details_N1HW, self.scale), _high(coarse_N1hw), _high(band_N1hw)]
        features = torch.cat(seen, dim=1)
        for index, layer in enumerate(self.body):
            found = F.relu(layer(features))
            features = found if index == 0 else features + found
        added_N1HW = F.pixel_shuffle(self.tail(features), self.scale)
        # The guide's own details are what a band would have if it were the guide.
        sharp_N1HW: Tensor = self._enlarged(band_N1hw) + details_N1HW + added_N1HW
        return sharp_N1HW.view(batch, channels, *sharp_N1HW.shape[-2:])

    def _enlarged(self, image_N1hw: Tensor) -> Tensor:
        return F.interpolate(image_N1hw, scale_factor=self.scale, mode="bicubic")


def _high(image_N1hw: Tensor) -> Tensor:
    """The image without the mean about each pixel."""
    padded = F.pad(image_N1hw, (_REACH,) * 4, mode="replicate")
    return image_N1hw - F.avg_pool2d(padded, 2 * _REACH + 1, stride=1)
