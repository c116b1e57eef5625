"""What a step has to say: scalars that stay on the device, averaged over its parts."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor


class Scalars:
    """Adds up named scalars by the share of the step that each part was."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}

    def add(self, share: float, **scalars: Tensor) -> None:
        """Adds ``share`` of each; nothing waits for the device."""
        for name, scalar in scalars.items():
            part = share * scalar.detach()
            self.values[name] = self.values[name] + part if name in self.values else part


def mean_over_ranks(scalar: Tensor) -> Tensor:
    """The mean of a scalar over the ranks of a run; as it is where there is one process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return scalar
    total = scalar.clone()
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()
