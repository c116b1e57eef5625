"""Penalties on the slope of a discriminator: WGAN-GP between real and fake, R1 at the real images.

Both need a discriminator that judges each image by itself: no batch normalisation.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.losses.adversarial import Logits, scales
from models.losses.loss import require_number

PLACES = ("mean", "sum")

Discriminator = Callable[[Tensor], Logits]


@dataclass(frozen=True, kw_only=True)
class _Slope:
    places: str = "mean"
    """What one image's many logits are to the slope: their ``mean``, as in the losses, or their ``sum``,
    as LaMa's R1 has it (H W times steeper, with a weight to match)."""

    def __post_init__(self) -> None:
        if self.places not in PLACES:
            raise ValueError(f"penalty: places must be one of {', '.join(PLACES)}; got {self.places!r}")

    def _slope(self, discriminator: Discriminator, image_BCHW: Tensor) -> Tensor:
        """Gradient of each image's logit by its pixels, BCHW, itself differentiable."""
        image_BCHW = image_BCHW.detach().requires_grad_()
        flat = [
            logit.flatten(1) if logit.ndim > 1 else logit[:, None]
            for logit in scales(discriminator(image_BCHW))
        ]
        logit_SB = torch.stack([getattr(each, self.places)(dim=1) for each in flat])
        slopes = torch.autograd.grad(logit_SB.mean(dim=0).sum(), image_BCHW, create_graph=True)
        return slopes[0]


@dataclass(frozen=True, kw_only=True)
class GradientPenalty(_Slope):
    """``mean (|grad D(u)| - target)^2`` at one random place ``u`` between each real image and a fake.

    Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017, section 4 (weight 10). The
    norm is over all values of an image; each image has a place of its own.
    """

    target: float = 1.0
    """The slope that is asked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("gradient penalty", 0.0, target=self.target)

    def __call__(
        self, discriminator: Discriminator, real_BCHW: Tensor, fake_BCHW: Tensor, rng: Generator
    ) -> Tensor:
        """A scalar of 0 or more."""
        share_B = torch.rand(len(real_BCHW), generator=rng, device=rng.device)
        share_B = share_B.to(real_BCHW, non_blocking=True)
        between_BCHW = torch.lerp(fake_BCHW.detach(), real_BCHW, share_B.view(-1, 1, 1, 1))
        norm_B: Tensor = torch.linalg.vector_norm(self._slope(discriminator, between_BCHW), dim=(1, 2, 3))
        return (norm_B - self.target).square().mean()


@dataclass(frozen=True, kw_only=True)
class R1(_Slope):
    """``mean |grad D(x)|^2 / 2`` at the real images; its weight is the paper's gamma.

    Mescheder, Geiger and Nowozin, "Which Training Methods for GANs do actually Converge?", ICML 2018,
    section 4.1, equation 9.
    """

    def __call__(
        self, discriminator: Discriminator, real_BCHW: Tensor, fake_BCHW: Tensor, rng: Generator
    ) -> Tensor:
        """A scalar of 0 or more; fakes and random numbers are not looked at."""
        return self._slope(discriminator, real_BCHW).square().sum(dim=(1, 2, 3)).mean() / 2
