"""DeblurGAN-v2: a feature pyramid on a small encoder, added to the blurred image.

Kupyn et al., "DeblurGAN-v2: Deblurring (Orders-of-Magnitude) Faster and Better", ICCV 2019, section 3.1
and figure 2, with MobileNetV2 as the encoder; the pyramid is of Lin et al., "Feature Pyramid Networks
for Object Detection", CVPR 2017.

Shapes: B batch, C channels, H and W height and width, F features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least
from models.networks.mobile_encoder import MobileEncoder


class DeblurGANv2(nn.Module):
    """BCHW in [-1, 1] -> the image plus a correction in [-1, 1], not clipped.

    ``pyramid`` is the width of the pyramid, ``features`` that of each of its four heads; the defaults
    are the paper's for MobileNet. Height and width must be multiples of 32, at least 64. The encoder
    starts from He's weights, not from a classifier: nothing is downloaded.
    """

    multiple_of = 32
    minimum_size = 64
    halo = None
    """Instance normalisation lets every pixel matter."""

    def __init__(
        self, channels: int = 3, features: int = 64, pyramid: int = 128, encoder_width: float = 1.0
    ) -> None:
        super().__init__()
        require_at_least("DeblurGANv2", 1, channels=channels, pyramid=pyramid)
        require_at_least("DeblurGANv2", 2, features=features)
        if not 0 < encoder_width <= 4:
            raise ValueError(f"DeblurGANv2: encoder_width must be in (0, 4], got {encoder_width!r}")
        self.channels = channels
        self.encoder = MobileEncoder(channels, encoder_width)
        finest, *coarser = self.encoder.features
        self.lateral = nn.ModuleList(nn.Conv2d(width, pyramid, 1) for width in coarser)
        self.finest_lateral = nn.Conv2d(finest, features, 1)
        # The coarsest level has nothing added to it that would need smoothing.
        self.smoothing = nn.ModuleList(_smooth(pyramid, pyramid) for _ in coarser[:-1])
        self.heads = nn.ModuleList(_head(pyramid, features) for _ in coarser)
        self.fusion = _smooth(4 * features, features)
        self.refinement = _smooth(features, features // 2)
        self.tail = nn.Conv2d(features // 2, channels, 3, padding=1)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The deblurred image."""
        finest_BFHW, *coarser = self.encoder(image_BCHW)
        pyramid = self._pyramid(coarser)
        quarter = pyramid[0].shape[-2:]
        heads = [
            F.interpolate(head(level_BFHW), quarter, mode="nearest")
            for head, level_BFHW in zip(self.heads, pyramid, strict=True)
        ]
        half_BFHW = _double(self.fusion(torch.cat(heads, dim=1))) + self.finest_lateral(finest_BFHW)
        correction_BCHW = torch.tanh(self.tail(_double(self.refinement(half_BFHW))))
        return image_BCHW + correction_BCHW

    def _pyramid(self, coarser: list[Tensor]) -> list[Tensor]:
        """From the coarsest level down: twice as large, plus the encoder's features, smoothed."""
        levels = [lateral(level) for lateral, level in zip(self.lateral, coarser, strict=True)]
        for fine in reversed(range(len(self.smoothing))):
            levels[fine] = self.smoothing[fine](levels[fine] + _double(levels[fine + 1]))
        return levels


def _smooth(inner: int, outer: int) -> nn.Sequential:
    convolution = nn.Conv2d(inner, outer, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.InstanceNorm2d(outer, affine=True), nn.ReLU(inplace=True))


def _head(inner: int, outer: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (inner, outer):
        layers += [nn.Conv2d(width, outer, 3, padding=1, bias=False), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _double(features_BFHW: Tensor) -> Tensor:
    return F.interpolate(features_BFHW, scale_factor=2, mode="nearest")
