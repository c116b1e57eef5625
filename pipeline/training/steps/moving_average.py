"""The average of a network's weights over the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.training.steps.network_update import unwrapped


class MovingAverage:
    """Exponential moving average of a network's weights, which scores better than the last ones.

    The decay starts low and rises to ``decay`` as ``(1 + n) / (10 + n)``, so that the random start
    is soon forgotten. Counts (of batches, say) are taken over as they are. ``state`` has the names of the
    network's own.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay of the moving average must be from 0 to below 1, got {decay}")
        self._places = _places_of(unwrapped(network))
        self.state = {name: held[key].detach().clone() for name, held, key in self._places}
        self._decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Moves the average towards the network's weights after step ``step`` (0, 1, ...)."""
        weight = 1.0 - min(self._decay, (1.0 + step) / (10.0 + step))
        averages, weights = list[Tensor](), list[Tensor]()
        for name, held, key in self._places:
            tensor = held[key]
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


def _places_of(network: nn.Module) -> list[tuple[str, Mapping[str, Any], str]]:
    """Name, holder and key of all that is in ``state_dict``, which takes long to ask."""
    places: list[tuple[str, Mapping[str, Any], str]] = []
    for prefix, module in network.named_modules(remove_duplicate=False):
        before = f"{prefix}." if prefix else ""
        passing = module._non_persistent_buffers_set
        kept = [key for key, value in module._buffers.items() if value is not None and key not in passing]
        for holder, keys in ((module._parameters, list(module._parameters)), (module._buffers, kept)):
            places += [(before + key, holder, key) for key in keys if holder[key] is not None]
    names = [name for name, _, _ in places]
    assert sorted(names) == sorted(network.state_dict()), "a module keeps its state in its own way"
    return places
