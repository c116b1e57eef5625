"""DRUNet: a residual U-Net without biases, told the noise level; the prior of plug-and-play.

Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", IEEE TPAMI 2022, section 3.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least
from models.networks.receptive_field import Window, halo_of


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, without biases, beside the identity."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.second = nn.Conv2d(features, features, 3, padding=1, bias=False)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """The same shape."""
        added_BCHW: Tensor = self.second(F.relu(self.first(features_BCHW), inplace=True))
        return features_BCHW + added_BCHW


class DRUNet(nn.Module):
    """``network(image_BCHW, noise_level_B)``: an image in [0, 1] -> the clean image, not clipped.

    ``noise_level_B`` is the standard deviation of the noise as a fraction of the range. Height and
    width must be multiples of ``2 ** (len(features) - 1)``. 32,640,960 parameters in colour,
    32,638,656 in grey. Weights start orthogonal, a fifth as large, as in the authors' code.
    """

    conditions: ClassVar[Sequence[str]] = ("noise_level",)
    minimum_size = 1

    def __init__(
        self, channels: int = 3, features: Sequence[int] = (64, 128, 256, 512), blocks: int = 4
    ) -> None:
        super().__init__()
        require_at_least("DRUNet", 1, channels=channels, blocks=blocks)
        if len(features) < 2 or min(features) < 1:
            raise ValueError(f"DRUNet: features must be two or more whole numbers >= 1, got {features!r}")
        self.channels, self.blocks = channels, blocks
        self.multiple_of = 2 ** (len(features) - 1)
        pairs = list(itertools.pairwise(features))
        self.head = nn.Conv2d(channels + 1, features[0], 3, padding=1, bias=False)
        self.encoders = nn.ModuleList(self._blocks(width) for width, _ in pairs)
        self.shrinking = nn.ModuleList(nn.Conv2d(fine, coarse, 2, 2, bias=False) for fine, coarse in pairs)
        self.body = self._blocks(features[-1])
        self.enlarging = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, 2, 2, bias=False) for fine, coarse in reversed(pairs)
        )
        self.decoders = nn.ModuleList(self._blocks(width) for width, _ in reversed(pairs))
        self.tail = nn.Conv2d(features[0], channels, 3, padding=1, bias=False)
        self.reset_parameters()

    def _blocks(self, features: int) -> nn.Sequential:
        return nn.Sequential(*(ResidualBlock(features) for _ in range(self.blocks)))

    def reset_parameters(self) -> None:
        """Orthogonal weights with a gain of 0.2."""
        for parameter in self.parameters():
            nn.init.orthogonal_(parameter, gain=0.2)

    @property
    def halo(self) -> int:
        """Radius of the receptive field in pixels."""
        levels = len(self.encoders)

        def between(window: Window, level: int) -> Window:
            if level == levels:
                return window.before_convolutions(2 * self.blocks)
            # Kernels as large as their strides reach no neighbour, and skips reach less than the detour.
            coarse = window.before_convolutions(2 * self.blocks).before_enlarging(2)
            return between(coarse, level + 1).before_unshuffle(2).before_convolutions(2 * self.blocks)

        def needed(window: Window) -> Window:
            return between(window.before_convolution(3), 0).before_convolution(3)

        return halo_of(needed, multiple_of=self.multiple_of)

    def forward(self, image_BCHW: Tensor, noise_level_B: Tensor) -> Tensor:
        """The clean image."""
        batch, _, height, width = image_BCHW.shape
        assert height % self.multiple_of == width % self.multiple_of == 0, (height, width)
        level_B1HW = noise_level_B.to(image_BCHW).view(batch, 1, 1, 1).expand(-1, -1, height, width)
        shallow_BFHW = features_BFHW = self.head(torch.cat((image_BCHW, level_B1HW), dim=1))
        skipped = []
        for encoder, shrink in zip(self.encoders, self.shrinking, strict=True):
            features_BFHW = shrink(encoder(features_BFHW))
            skipped.append(features_BFHW)
        features_BFHW = self.body(features_BFHW)
        for enlarge, decoder in zip(self.enlarging, self.decoders, strict=True):
            features_BFHW = decoder(enlarge(features_BFHW + skipped.pop()))
        clean_BCHW: Tensor = self.tail(features_BFHW + shallow_BFHW)
        return clean_BCHW
