"""Boundary equilibrium: the discriminator is an autoencoder, and the two sides are kept in balance.

Berthelot, Schumm and Metz, "BEGAN: Boundary Equilibrium Generative Adversarial Networks", 2017, section 3.4.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from models.losses.adversarial import Adversarial, Logits, mean_logit
from models.losses.loss import require_number


class BEGAN(Adversarial):
    """D: ``L(x) - k L(G(z))``; G: ``L(G(z))``; then ``k += gain (diversity L(x) - L(G(z)))``, kept in [0, 1].

    ``L`` is the autoencoder's error, the negative of the logit of
    ``models.discriminators.autoencoder.AutoencoderDiscriminator``.
    """

    remembers: ClassVar[bool] = True

    def __init__(self, *, diversity: float = 0.5, gain: float = 1e-3) -> None:
        require_number("began", 0.0, 1.0, diversity=diversity, gain=gain)
        self.diversity, self.gain = diversity, gain
        self._k = torch.zeros(())

    @property
    def k(self) -> Tensor:
        """How much the discriminator minds fakes now: a scalar in [0, 1], 0 at first."""
        return self._k

    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """A scalar."""
        fake_error = -mean_logit(fake)
        return -mean_logit(real) - self._k.to(fake_error.device, non_blocking=True) * fake_error

    def generator(self, real: Logits | None, fake: Logits) -> Tensor:
        """A scalar of 0 or more."""
        return -mean_logit(fake)

    def convergence(self, real_mean: Tensor, fake_mean: Tensor) -> Tensor:
        """``L(x) + |diversity L(x) - L(G(z))|``: a number that falls as training gets on (section 3.4.1)."""
        return -real_mean + (fake_mean - self.diversity * real_mean).abs()

    def update(self, real_mean: Tensor, fake_mean: Tensor) -> None:
        """Moves ``k`` towards the balance that ``diversity`` asks for; stays where a mean is not finite."""
        k = self._k.to(real_mean.device, non_blocking=True)
        moved = (k + self.gain * (fake_mean - self.diversity * real_mean)).clamp(0, 1)
        self._k = torch.where(moved.isfinite(), moved, k).detach()

    def state_dict(self) -> dict[str, Tensor]:
        """``k``."""
        return {"k": self._k.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes ``k`` over; ``ValueError`` where there is none."""
        super().load_state_dict(state)
        self._k = state["k"].clone()
