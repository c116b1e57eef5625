"""SRVGG: a plain chain of convolutions at low resolution, the small network of Real-ESRGAN.

Wang et al., "Real-ESRGAN", ICCV workshops 2021, and its release 0.3 (the "compact" models): details on
top of nearest-neighbour enlarging.

Shapes: B batch, C channels, H and W height and width, s the scale.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least


class SRVGG(nn.Module):
    """BCHW in [0, 1] -> BC(sH)(sW), not clipped; any scale of 1 or more.

    ``layers`` counts the inner convolutions: 32 have 1,213,296 parameters at scale 4, 16 have 621,424.
    Weights start as PyTorch's layers do, as in the authors' code.
    """

    multiple_of = 1
    minimum_size = 1

    def __init__(self, channels: int = 3, features: int = 64, layers: int = 32, scale: int = 4) -> None:
        super().__init__()
        require_at_least("SRVGG", 1, channels=channels, features=features, layers=layers, scale=scale)
        self.channels, self.layers, self.scale = channels, layers, scale
        body: list[nn.Module] = []
        for i in range(layers + 1):
            inner = features if i else channels
            body += [nn.Conv2d(inner, features, 3, padding=1), nn.PReLU(features)]
        self.body = nn.Sequential(*body)
        self.tail = nn.Conv2d(features, channels * scale**2, 3, padding=1)

    @property
    def halo(self) -> int:
        """Radius of the receptive field in input pixels: one for each convolution."""
        return self.layers + 2

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The enlarged image."""
        details_BCHW = F.pixel_shuffle(self.tail(self.body(image_BCHW)), self.scale)
        return details_BCHW + F.interpolate(image_BCHW, scale_factor=self.scale, mode="nearest")
