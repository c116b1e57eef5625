"""DnCNN: predicts the noise and subtracts it.

Zhang et al., "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising",
IEEE TIP 2017, section III.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.networks.arguments import require_at_least


class DnCNN(nn.Module):
    """BCHW in [0, 1] -> the same without its noise, not clipped.

    ``DnCNN(channels=1, layers=17)`` for one known noise level has 556,097 parameters; blind colour,
    ``DnCNN(channels=3, layers=20)``, 669,379. ``batch_norm=False`` is the form in which the
    normalisation has been folded into the convolutions. Weights start orthogonal (Saxe 2014).
    """

    multiple_of = 1
    minimum_size = 1

    def __init__(
        self, channels: int = 3, features: int = 64, layers: int = 20, batch_norm: bool = True
    ) -> None:
        super().__init__()
        require_at_least("DnCNN", 1, channels=channels, features=features)
        require_at_least("DnCNN", 3, layers=layers)
        self.channels, self.layers = channels, layers
        body: list[nn.Module] = [nn.Conv2d(channels, features, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(layers - 2):
            body.append(nn.Conv2d(features, features, 3, padding=1, bias=not batch_norm))
            body += [nn.BatchNorm2d(features)] if batch_norm else []
            body.append(nn.ReLU(inplace=True))
        self.noise = nn.Sequential(*body, nn.Conv2d(features, channels, 3, padding=1))
        self.reset_parameters()

    @property
    def halo(self) -> int:
        """Radius of the receptive field in pixels: one for each convolution (section III-A)."""
        return self.layers

    def reset_parameters(self) -> None:
        """Orthogonal weights for ReLU, zero biases."""
        for layer in self.noise:
            if isinstance(layer, nn.Conv2d):
                nn.init.orthogonal_(layer.weight, gain=2**0.5)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The image without the noise that the network sees in it."""
        noise_BCHW: Tensor = self.noise(image_BCHW)
        return image_BCHW - noise_BCHW
