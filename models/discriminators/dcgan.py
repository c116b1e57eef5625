"""DCGAN's discriminator: strided convolutions down to 4 x 4, then one number.

Radford, Metz and Chintala, "DCGAN", ICLR 2016, section 3.

Shapes: B batch, C channels, N the side of the image.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from models.discriminators.normalisation import NORMALISATIONS, convolution, normalise_spectrally
from models.networks.arguments import require_at_least, require_one_of, require_power_of_two
from models.networks.dcgan import FIRST_SIDE, WIDEST
from models.networks.initialisation import initialise_adversarial


class DCGANDiscriminator(nn.Module):
    """BCNN in [-1, 1] -> one logit per image, B; high means real.

    The defaults are the shape of PyTorch's example (2,765,568 parameters at 64 pixels); the paper's own
    is ``features=128, kernel=5``. No normalisation on the first layer.
    """

    def __init__(
        self,
        channels: int = 3,
        image_size: int = 64,
        features: int = 64,
        kernel: int = 4,
        normalisation: str = "batch",
    ) -> None:
        super().__init__()
        require_at_least("DCGANDiscriminator", 1, channels=channels, features=features)
        require_power_of_two("DCGANDiscriminator", 8, image_size=image_size)
        require_one_of("DCGANDiscriminator", (4, 5), kernel=kernel)
        require_one_of("DCGANDiscriminator", NORMALISATIONS, normalisation=normalisation)
        self.channels, self.image_size = channels, image_size
        halvings = (image_size // FIRST_SIDE).bit_length() - 1
        widths = [features * min(2**step, WIDEST) for step in range(halvings)]
        first = nn.Conv2d(channels, features, kernel, 2, (kernel - 1) // 2, bias=False)
        layers: list[nn.Module] = [first, nn.LeakyReLU(0.2, inplace=True)]
        for inner, outer in itertools.pairwise(widths):
            layers += convolution(inner, outer, kernel, 2, normalisation)
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        last = nn.Conv2d(widths[-1], 1, FIRST_SIDE, bias=False)
        self.body = nn.Sequential(*layers, last, nn.Flatten(0))
        initialise_adversarial(self)
        if normalisation == "spectral":
            normalise_spectrally(self)

    def forward(self, image_BCNN: Tensor) -> Tensor:
        """Logits, B; ``ValueError`` for images of another size."""
        side = self.image_size
        if tuple(image_BCNN.shape[-2:]) != (side, side):
            raise ValueError(
                f"DCGANDiscriminator: images must be {side} x {side}, got {tuple(image_BCNN.shape[-2:])}"
            )
        logit_B: Tensor = self.body(image_BCNN)
        return logit_B
