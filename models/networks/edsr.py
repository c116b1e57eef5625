"""EDSR: residual blocks without normalisation, few or many.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPR workshops 2017,
section 3: the baseline (16 blocks of 64 features) and the full model (32 of 256, residuals times 0.1).

Shapes: B batch, C channels, H and W height and width, s the scale.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_one_of
from models.networks.msrresnet import ResidualBlock
from models.networks.receptive_field import Window, halo_of
from models.networks.upsampling import SCALES, SubPixelUpsampling

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean red, green and blue of DIV2K's training images, subtracted before and added after (section 4.2)."""


class EDSR(nn.Module):
    """BCHW in [0, 1] -> BC(sH)(sW), not clipped.

    ``EDSR()`` is the baseline (1,517,571 parameters at scale 4); the full model is
    ``EDSR(features=256, blocks=32, residual_weight=0.1)`` (43,089,923). Other than three channels
    are centred at 0.5. ``scale`` is 2, 3, 4 or 8. Weights start as PyTorch's layers do, as in the
    authors' code.
    """

    multiple_of = 1
    minimum_size = 1
    mean_C11: Tensor

    def __init__(
        self,
        channels: int = 3,
        features: int = 64,
        blocks: int = 16,
        scale: int = 4,
        residual_weight: float = 1.0,
    ) -> None:
        super().__init__()
        require_at_least("EDSR", 1, channels=channels, features=features, blocks=blocks)
        require_one_of("EDSR", SCALES, scale=scale)
        if not 0 < residual_weight <= 1:
            raise ValueError(f"EDSR: residual_weight must be in (0, 1], got {residual_weight!r}")
        self.channels, self.blocks, self.scale = channels, blocks, scale
        mean = DIV2K_MEAN if channels == 3 else (0.5,) * channels
        self.register_buffer("mean_C11", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        self.body = nn.Sequential(
            *(ResidualBlock(features, residual_weight) for _ in range(blocks)),
            nn.Conv2d(features, features, 3, padding=1),
        )
        self.upsampling = SubPixelUpsampling(features, scale)
        self.tail = nn.Conv2d(features, channels, 3, padding=1)

    @property
    def halo(self) -> int:
        """Radius of the receptive field in input pixels."""

        def needed(window: Window) -> Window:
            deep = self.upsampling.window(window.before_convolution(3))
            return deep.before_convolutions(2 * self.blocks + 2)

        return halo_of(needed, scale=self.scale)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The enlarged image."""
        shallow_BFHW = self.head(image_BCHW - self.mean_C11)
        enlarged_BFHW = self.upsampling(shallow_BFHW + self.body(shallow_BFHW))
        restored_BCHW: Tensor = self.tail(enlarged_BFHW)
        return restored_BCHW + self.mean_C11
