"""How much more real than the average fake, instead of how real.

Jolicoeur-Martineau, "The relativistic discriminator: a key element missing from standard GAN", ICLR 2019,
section 4.2 and appendix B; used by ESRGAN (logistic) and DeblurGAN-v2 (least squares).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from models.losses.adversarial import Adversarial, Logits, mean_of

DISTANCES = ("logistic", "least_squares")


@dataclass(frozen=True, kw_only=True)
class RelativisticAverage(Adversarial):
    """D: ``f(D(x) - mean D(G(z))) + f(mean D(x) - D(G(z)))``; G: the same with the two exchanged.

    ``f(d)`` is ``softplus(-d)`` for the logistic distance and ``(d - 1)^2`` for least squares. The means
    are over the images of one call: with accumulation, over those of one part.
    """

    needs_real: ClassVar[bool] = True

    distance: str = "logistic"
    """One of ``DISTANCES``."""

    def __post_init__(self) -> None:
        if self.distance not in DISTANCES:
            raise ValueError(
                f"relativistic_average: distance must be one of {', '.join(DISTANCES)}; got {self.distance!r}"
            )

    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """A scalar of 0 or more."""
        return mean_of(self._superiority, real, fake)

    def generator(self, real: Logits | None, fake: Logits) -> Tensor:
        """A scalar of 0 or more."""
        assert real is not None, "the generator's side needs the logits of real images"
        return mean_of(self._superiority, fake, real)

    def _superiority(self, better: Tensor, worse: Tensor) -> Tensor:
        return self._distance(better - worse.mean()).mean() + self._distance(better.mean() - worse).mean()

    def _distance(self, lead: Tensor) -> Tensor:
        return F.softplus(-lead) if self.distance == "logistic" else (lead - 1).square()
