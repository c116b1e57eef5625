"""DeblurGAN: nine residual blocks at a quarter of the size, added to the blurred image.

Kupyn et al., "DeblurGAN: Blind Motion Deblurring Using Conditional Adversarial Networks", CVPR 2018,
section 4.2; the generator is that of Johnson et al., "Perceptual Losses", ECCV 2016.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_fraction
from models.networks.initialisation import initialise_adversarial


class ResidualBlock(nn.Module):
    """Two reflected convolutions with instance normalisation, beside the identity."""

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(features, features, 3),
            nn.ReLU(inplace=True),
            *([nn.Dropout(dropout)] if dropout else []),
            *_convolution(features, features, 3),
        )

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """The same shape."""
        added_BCHW: Tensor = self.body(features_BCHW)
        return features_BCHW + added_BCHW


class DeblurGAN(nn.Module):
    """BCHW in [-1, 1] -> the image plus a correction in [-1, 1], not clipped.

    11,378,179 parameters. Height and width must be multiples of 4, at least 8. Instance
    normalisation always uses the image's own statistics, so a result does not depend on the
    batch. The biases before it have no effect; they are there as in the released network.
    """

    multiple_of = 4
    minimum_size = 8
    halo = None
    """Instance normalisation lets every pixel matter."""

    def __init__(self, channels: int = 3, features: int = 64, blocks: int = 9, dropout: float = 0.5) -> None:
        super().__init__()
        require_at_least("DeblurGAN", 1, channels=channels, features=features, blocks=blocks)
        require_fraction("DeblurGAN", dropout=dropout)
        self.channels = channels
        layers: list[nn.Module] = [*_convolution(channels, features, 7), nn.ReLU(inplace=True)]
        for width in (features, 2 * features):
            shrinking = nn.Conv2d(width, 2 * width, 3, 2, padding=1)
            layers += [shrinking, nn.InstanceNorm2d(2 * width), nn.ReLU(inplace=True)]
        layers += [ResidualBlock(4 * features, dropout) for _ in range(blocks)]
        for width in (2 * features, features):
            enlarging = nn.ConvTranspose2d(2 * width, width, 3, 2, padding=1, output_padding=1)
            layers += [enlarging, nn.InstanceNorm2d(width), nn.ReLU(inplace=True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(features, channels, 7), nn.Tanh()]
        self.body = nn.Sequential(*layers)
        initialise_adversarial(self)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The deblurred image (equation for I_S in section 4.2)."""
        correction_BCHW: Tensor = self.body(image_BCHW)
        return image_BCHW + correction_BCHW


def _convolution(inner: int, outer: int, kernel: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(inner, outer, kernel), nn.InstanceNorm2d(outer)]
