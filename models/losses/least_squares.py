"""Least squares instead of cross entropy.

Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017, section 3.2, equation 9.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from models.losses.adversarial import Adversarial, Logits, mean_of


@dataclass(frozen=True, kw_only=True)
class LeastSquares(Adversarial):
    """D: ``(D(x) - 1)^2 / 2 + D(G(z))^2 / 2``; G: ``(D(G(z)) - 1)^2 / 2``; ``D`` the logit itself."""

    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """A scalar of 0 or more."""
        return mean_of(lambda logit: (logit - 1).square() / 2, real) + mean_of(
            lambda logit: logit.square() / 2, fake
        )

    def generator(self, real: Logits | None, fake: Logits) -> Tensor:
        """A scalar of 0 or more."""
        return mean_of(lambda logit: (logit - 1).square() / 2, fake)
