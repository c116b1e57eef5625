"""The average of a network's weights over the run."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pipeline.training.steps.network_update import unwrapped


class MovingAverage:
    """Exponential moving average of a network's weights, which scores better than the last ones.

    The decay starts low and rises to ``decay`` as ``(1 + n) / (10 + n)``, so that the random start
    is soon forgotten. Counts (of batches, say) are taken over as they are.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay of the moving average must be from 0 to below 1, got {decay}")
        state = unwrapped(network).state_dict()
        self.state = {name: tensor.detach().clone() for name, tensor in state.items()}
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Moves the average towards the weights after step ``step`` (0, 1, ...)."""
        weight = 1.0 - min(self._decay, (1.0 + step) / (10.0 + step))
        averages, weights = list[Tensor](), list[Tensor]()
        for name, tensor in unwrapped(network).state_dict().items():
            if tensor.is_floating_point():
                averages.append(self.state[name])
                weights.append(tensor)
            else:
                self.state[name].copy_(tensor)
        torch._foreach_lerp_(averages, weights, weight)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by the network's own names."""
        return dict(self.state)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from ``state_dict``'s result; ``ValueError`` where it is of another network."""
        if differing := sorted(state.keys() ^ self.state.keys()):
            raise ValueError(f"the average is of another network: {', '.join(differing[:3])} differ")
        for name, tensor in state.items():
            self.state[name].copy_(tensor)
