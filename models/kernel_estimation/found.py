"""What an estimator says of an image's blur.

Shapes: K side of a kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A kernel, and how far it is to be believed."""

    kernel_KK: Tensor
    """Sum 1, K odd; a single point where there is nothing to undo."""
    confidence: float
    """In [0, 1]: how far what has to agree does agree."""
    doubt: str = ""
    """Why the kernel is not to be used; empty where it is."""
    parameters: dict[str, float] = field(default_factory=dict)
    """Of a blur that has some: ``{"radius": 3.25}``."""


def nothing_found(why: str) -> Estimate:
    """Of an image that tells no blur."""
    return Estimate(torch.ones(1, 1), 0.0, why)
