"""Three convolutions that predict what to take away: a denoiser as small as they come."""

import torch.nn.functional as F
from torch import Tensor, nn


class Shallow(nn.Module):
    """A residual denoiser of three 3 x 3 convolutions."""

    halo = 3
    """It looks three pixels far, so that tiles with three more on each side are exact."""

    def __init__(self, channels: int = 3, features: int = 16) -> None:
        super().__init__()
        self.channels = channels
        self.first = nn.Conv2d(channels, features, 3, padding=1)
        self.middle = nn.Conv2d(features, features, 3, padding=1)
        self.last = nn.Conv2d(features, channels, 3, padding=1)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The image, its noise taken away."""
        features_BCHW = F.relu(self.middle(F.relu(self.first(image_BCHW))))
        return image_BCHW - self.last(features_BCHW)
