"""The hinge loss.

Lim and Ye, "Geometric GAN", 2017, section 3; Miyato et al., "Spectral Normalization for Generative
Adversarial Networks", ICLR 2018, equations 16 and 17.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from models.losses.adversarial import Adversarial, Logits, mean_logit, mean_of


@dataclass(frozen=True, kw_only=True)
class Hinge(Adversarial):
    """D: ``max(0, 1 - D(x)) + max(0, 1 + D(G(z)))``; G: ``-D(G(z))``; ``D`` the logit itself."""

    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """A scalar of 0 or more, 2 where it knows nothing."""
        return mean_of(lambda logit: F.relu(1 - logit), real) + mean_of(lambda logit: F.relu(1 + logit), fake)

    def generator(self, real: Logits | None, fake: Logits) -> Tensor:
        """A scalar of any sign."""
        return -mean_logit(fake)
