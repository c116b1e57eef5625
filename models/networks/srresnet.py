"""SRResNet: the generator of SRGAN, with batch normalisation.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
CVPR 2017, section 2.1.1 and figure 4.

Shapes: B batch, C channels, H and W height and width, s the scale.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_one_of
from models.networks.receptive_field import Window, halo_of
from models.networks.upsampling import SCALES, SubPixelUpsampling


class ResidualBlock(nn.Module):
    """Convolution, normalisation, PReLU, convolution, normalisation, beside the identity."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1),
            nn.BatchNorm2d(features),
            nn.PReLU(),
            nn.Conv2d(features, features, 3, padding=1),
            nn.BatchNorm2d(features),
        )

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """The same shape."""
        added_BCHW: Tensor = self.body(features_BCHW)
        return features_BCHW + added_BCHW


class SRResNet(nn.Module):
    """BCHW in [0, 1] -> BC(sH)(sW), not clipped; 1,549,462 parameters at scale 4.

    The paper lets the output run over [-1, 1]; here both ends are [0, 1]. ``scale`` is 2, 3, 4 or 8.
    Weights start as PyTorch's layers do, which the paper leaves open.
    """

    multiple_of = 1
    minimum_size = 1

    def __init__(self, channels: int = 3, features: int = 64, blocks: int = 16, scale: int = 4) -> None:
        super().__init__()
        require_at_least("SRResNet", 1, channels=channels, features=features, blocks=blocks)
        require_one_of("SRResNet", SCALES, scale=scale)
        self.channels, self.blocks, self.scale = channels, blocks, scale
        self.head = nn.Sequential(nn.Conv2d(channels, features, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(features) for _ in range(blocks)),
            nn.Conv2d(features, features, 3, padding=1),
            nn.BatchNorm2d(features),
        )
        self.upsampling = SubPixelUpsampling(features, scale, nn.PReLU)
        self.tail = nn.Conv2d(features, channels, 9, padding=4)

    @property
    def halo(self) -> int:
        """Radius of the receptive field in input pixels."""

        def needed(window: Window) -> Window:
            window = self.upsampling.window(window.before_convolution(9))
            return window.before_convolutions(2 * self.blocks + 1).before_convolution(9)

        return halo_of(needed, scale=self.scale)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The enlarged image."""
        shallow_BFHW = self.head(image_BCHW)
        enlarged_BFHW = self.upsampling(shallow_BFHW + self.body(shallow_BFHW))
        restored_BCHW: Tensor = self.tail(enlarged_BFHW)
        return restored_BCHW
