"""SRGAN's discriminator, shaped like VGG.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
CVPR 2017, section 2.1.1 and figure 4.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.discriminators.normalisation import NORMALISATIONS, convolution, normalise_spectrally
from models.networks.arguments import require_at_least, require_one_of

GRID = 6
"""Side of the features that the dense layers see: the paper's crops of 96 pixels, 16 times smaller."""


class SRGANDiscriminator(nn.Module):
    """BCHW -> one logit per image, B; high means real; 16 pixels or more a side.

    Eight convolutions from 64 to 512 features, every second one of stride 2, and two dense layers.
    Features of other than the paper's 96 pixels are averaged to its grid of 6 x 6, which leaves those
    of 96 pixels as they are. Weights start as PyTorch's layers do, which the paper leaves open.
    """

    def __init__(
        self, channels: int = 3, features: int = 64, hidden: int = 1024, normalisation: str = "batch"
    ) -> None:
        super().__init__()
        require_at_least("SRGANDiscriminator", 1, channels=channels, features=features, hidden=hidden)
        require_one_of("SRGANDiscriminator", NORMALISATIONS, normalisation=normalisation)
        self.channels = channels
        first = nn.Conv2d(channels, features, 3, padding=1)
        layers: list[nn.Module] = [first, nn.LeakyReLU(0.2, inplace=True)]
        layers += [*convolution(features, features, 3, 2, normalisation), nn.LeakyReLU(0.2, inplace=True)]
        for width in (2 * features, 4 * features, 8 * features):
            for inner, stride in ((width // 2, 1), (width, 2)):
                layers += convolution(inner, width, 3, stride, normalisation)
                layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.body = nn.Sequential(*layers)
        self.judgement = nn.Sequential(
            nn.AdaptiveAvgPool2d(GRID),
            nn.Flatten(),
            nn.Linear(8 * features * GRID**2, hidden),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(hidden, 1),
            nn.Flatten(0),
        )
        if normalisation == "spectral":
            normalise_spectrally(self)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Logits, B; ``ValueError`` for an image smaller than 16 pixels a side."""
        if min(image_BCHW.shape[-2:]) < 16:
            raise ValueError(
                "SRGANDiscriminator: images must be 16 pixels or more a side, "
                f"got {tuple(image_BCHW.shape[-2:])}"
            )
        logit_B: Tensor = self.judgement(self.body(image_BCHW))
        return logit_B
