"""RRDBNet: residual in residual dense blocks, the network of ESRGAN and Real-ESRGAN.

Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCV workshops 2018,
section 3.1; the scales below 4 by pixel unshuffle are of Wang et al., "Real-ESRGAN", ICCV workshops
2021, section 3.3.

Shapes: B batch, C channels, H and W height and width, s the scale, F features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_one_of
from models.networks.initialisation import initialise_residual
from models.networks.receptive_field import Window, halo_of

RESIDUAL_WEIGHT = 0.2
SLOPE = 0.2
ENLARGED = 4
"""The network itself always enlarges by this; smaller scales shrink the input first."""


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the outputs of all before it."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(features + i * growth, features if i == 4 else growth, 3, padding=1) for i in range(5)
        )

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        seen = [features_BFHW]
        *inner, last = self.convolutions
        for convolution in inner:
            seen.append(F.leaky_relu(convolution(torch.cat(seen, dim=1)), SLOPE, inplace=True))
        added_BFHW: Tensor = last(torch.cat(seen, dim=1))
        return features_BFHW + RESIDUAL_WEIGHT * added_BFHW


class ResidualInResidualDenseBlock(nn.Module):
    """Three dense blocks beside the identity."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(features, growth) for _ in range(3)))

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        added_BFHW: Tensor = self.blocks(features_BFHW)
        return features_BFHW + RESIDUAL_WEIGHT * added_BFHW


class RRDBNet(nn.Module):
    """BCHW in [0, 1] -> BC(sH)(sW), not clipped.

    23 blocks have 16,697,987 parameters at scale 4, 6 blocks 4,467,779. ``scale`` is 1, 2 or 4: for
    1 and 2 the input is unshuffled by 4 and 2, so height and width must be multiples of that.
    Blocks start a tenth as large as He's rule says.
    """

    minimum_size = 1

    def __init__(
        self, channels: int = 3, features: int = 64, growth: int = 32, blocks: int = 23, scale: int = 4
    ) -> None:
        super().__init__()
        require_at_least("RRDBNet", 1, channels=channels, features=features, growth=growth, blocks=blocks)
        require_one_of("RRDBNet", (1, 2, 4), scale=scale)
        self.channels, self.scale = channels, scale
        self.multiple_of = ENLARGED // scale
        self.head = nn.Conv2d(channels * self.multiple_of**2, features, 3, padding=1)
        self.body = nn.Sequential(*(ResidualInResidualDenseBlock(features, growth) for _ in range(blocks)))
        self.body_tail = nn.Conv2d(features, features, 3, padding=1)
        self.enlarging = nn.ModuleList(nn.Conv2d(features, features, 3, padding=1) for _ in range(2))
        self.refinement = nn.Conv2d(features, features, 3, padding=1)
        self.tail = nn.Conv2d(features, channels, 3, padding=1)
        initialise_residual([self.body])

    @property
    def halo(self) -> int:
        """Radius of the receptive field in input pixels."""

        def needed(window: Window) -> Window:
            window = window.before_convolutions(3).before_enlarging(2)
            window = window.before_convolution(3).before_enlarging(2)
            window = window.before_convolutions(15 * len(self.body) + 2)
            return window.before_unshuffle(self.multiple_of)

        return halo_of(needed, scale=self.scale, multiple_of=self.multiple_of)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The enlarged image."""
        features_BFHW = self.head(F.pixel_unshuffle(image_BCHW, self.multiple_of))
        features_BFHW = features_BFHW + self.body_tail(self.body(features_BFHW))
        for convolution in self.enlarging:
            enlarged_BFHW = F.interpolate(features_BFHW, scale_factor=2, mode="nearest")
            features_BFHW = F.leaky_relu(convolution(enlarged_BFHW), SLOPE)
        restored_BCHW: Tensor = self.tail(F.leaky_relu(self.refinement(features_BFHW), SLOPE))
        return restored_BCHW
