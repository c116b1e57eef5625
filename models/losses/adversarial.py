"""What an adversarial loss is, and what all of them share.

Shapes: B batch; logits have any shape, B first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

Logits = Tensor | Sequence[Tensor]
"""What a discriminator gives, high for real; several tensors where it judges at several scales."""


class Adversarial:
    """The two sides of one game, in logits.

    Means are over images and, within each scale, over places; then over scales, so that weights do not
    depend on how many there are (pix2pixHD adds them up).
    """

    needs_real: ClassVar[bool] = False
    """Whether the generator's side looks at the logits of real images too."""
    remembers: ClassVar[bool] = False
    """Whether there is something for ``update`` to do and for a checkpoint to keep."""

    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """What the discriminator makes small: a scalar."""
        raise NotImplementedError

    def generator(self, real: Logits | None, fake: Logits) -> Tensor:
        """What the generator makes small: a scalar. ``real`` may be ``None`` unless ``needs_real``."""
        raise NotImplementedError

    def update(self, real_mean: Tensor, fake_mean: Tensor) -> None:
        """Called after each step of the discriminator with its mean logits, the same on every rank."""

    def state_dict(self) -> dict[str, Tensor]:
        """What ``update`` has learnt; most have nothing to remember."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Goes on from ``state_dict``'s result; ``ValueError`` where it is of another loss."""
        if state.keys() != self.state_dict().keys():
            raise ValueError(
                f"{type(self).__name__}: its state has {sorted(self.state_dict())}, got {sorted(state)}"
            )


def scales(logits: Logits) -> list[Tensor]:
    """The logits of each scale, in float32 or better."""
    listed = [logits] if isinstance(logits, Tensor) else list(logits)
    return [each.to(torch.promote_types(each.dtype, torch.float32)) for each in listed]


def mean_of(function: Callable[..., Tensor], *logits: Logits, **arguments: Any) -> Tensor:
    """The mean of ``function``'s values, over each scale and then over the scales."""
    by_scale = zip(*map(scales, logits), strict=True)
    return torch.stack([function(*each, **arguments).mean() for each in by_scale]).mean()


def mean_logit(logits: Logits) -> Tensor:
    """The mean over all, a scalar."""
    return mean_of(lambda logit: logit, logits)
