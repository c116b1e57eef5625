"""The original game, with the generator's side that does not saturate.

Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from models.losses.adversarial import Adversarial, Logits, mean_of
from models.losses.loss import require_number


@dataclass(frozen=True, kw_only=True)
class Vanilla(Adversarial):
    """D: ``-log D(x) - log(1 - D(G(z)))``; G: ``-log D(G(z))``; ``D`` the sigmoid of the logit."""

    smoothing: float = 0.0
    """Real images are to be called real with a probability of 1 less this: one-sided label smoothing
    (Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 3.4)."""

    def __post_init__(self) -> None:
        require_number("vanilla", 0.0, 0.5, smoothing=self.smoothing)

    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """A scalar, ``2 log 2`` where it knows nothing."""
        right = (1 - self.smoothing) * mean_of(lambda logit: F.softplus(-logit), real)
        doubted = self.smoothing * mean_of(F.softplus, real)
        return right + doubted + mean_of(F.softplus, fake)

    def generator(self, real: Logits | None, fake: Logits) -> Tensor:
        """A scalar above 0."""
        return mean_of(lambda logit: F.softplus(-logit), fake)
