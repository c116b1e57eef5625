"""The earth mover's distance, for a critic that a penalty keeps smooth.

Arjovsky, Chintala and Bottou, "Wasserstein GAN", ICML 2017, section 3; use it with the gradient penalty.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from models.losses.adversarial import Adversarial, Logits, mean_logit, mean_of
from models.losses.loss import require_number


@dataclass(frozen=True, kw_only=True)
class Wasserstein(Adversarial):
    """D: ``D(G(z)) - D(x) + drift D(x)^2``; G: ``-D(G(z))``; ``D`` the logit itself."""

    drift: float = 0.0
    """Keeps the critic near zero: 0.001 in Progressive GAN (Karras et al., ICLR 2018, appendix A.1)."""

    def __post_init__(self) -> None:
        require_number("wasserstein", 0.0, drift=self.drift)

    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """A scalar; its negative estimates the distance."""
        loss = mean_logit(fake) - mean_logit(real)
        return loss + self.drift * mean_of(lambda logit: logit.square(), real) if self.drift else loss

    def generator(self, real: Logits | None, fake: Logits) -> Tensor:
        """A scalar of any sign."""
        return -mean_logit(fake)
