"""What one forward pass of restoration is trained on.

Shapes: B batch, C channels, H and W height and width, h and w those of the degraded image.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from models.contract import Condition


@dataclass(frozen=True)
class Example:
    """A batch of degraded images, what they should become, and what is known of the degradation."""

    degraded_BCHW: Tensor
    """Float in [0, 1], noise may leave it; ``scale`` times smaller than the target."""
    target_BCHW: Tensor
    """Float in [0, 1]."""
    condition: Condition = field(default_factory=Condition)
    """Noise level and mask, for networks and losses that take them."""
