"""What of a network is adapted: a gain for every channel, or all of its weights.

Mohan et al., "Adaptive Denoising via GainTuning", NeurIPS 2021: a gain for each channel of each convolution
is too little to learn the noise of an image by heart, and enough to fit a network to it. The first
convolution's inputs have gains too: a noise level that the network is told is one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

Group = dict[str, Any]
"""Parameters and their learning rate, for an optimizer."""


class _Gained(nn.Module):
    """A convolution's weight times gains, or its bias."""

    def __init__(self, gains: dict[int, nn.Parameter]) -> None:
        super().__init__()
        self._dimensions = list(gains)
        self.gains = nn.ParameterList(gains.values())

    def forward(self, original: Tensor) -> Tensor:
        """The same with every channel of a dimension times its gain."""
        for dimension, gain in zip(self._dimensions, self.gains, strict=True):
            shape = [1] * original.dim()
            shape[dimension] = -1
            original = original * gain.view(shape)
        return original


def gains_of(network: nn.Module) -> list[Group]:
    """Gains of 1 on all convolutions, which learn; the weights stay. ``ValueError`` without any."""
    convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d)]
    if not convolutions:
        raise ValueError("gains are of convolutions, and this network has none; adapt all weights")
    network.requires_grad_(False)
    outputs = []
    inputs = _ones(convolutions[0].weight, 1)
    for number, each in enumerate(convolutions):
        gain = _ones(each.weight, 0)
        outputs.append(gain)
        parametrize.register_parametrization(
            each, "weight", _Gained({0: gain, 1: inputs} if number == 0 else {0: gain})
        )
        if each.bias is not None:
            parametrize.register_parametrization(each, "bias", _Gained({0: gain}))
    return [{"params": outputs, "lr": 3e-3}, {"params": [inputs], "lr": 1e-2}]


def _ones(weight: Tensor, dimension: int) -> nn.Parameter:
    return nn.Parameter(weight.new_ones(weight.shape[dimension]))


def all_of(network: nn.Module) -> list[Group]:
    """All weights, slowly."""
    return [{"params": list(network.requires_grad_(True).parameters()), "lr": 3e-5}]


ADAPTED: dict[str, Callable[[nn.Module], list[Group]]] = {"gains": gains_of, "all": all_of}
"""What ``restora adapt --weights`` takes."""


def folded(network: nn.Module) -> dict[str, Tensor]:
    """The network's state with its gains in its weights; the network is an ordinary one afterwards."""
    for module in list(network.modules()):
        for name in list(getattr(module, "parametrizations", {})):
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def learning(groups: list[Group]) -> Iterator[nn.Parameter]:
    """All parameters of the groups."""
    return (parameter for group in groups for parameter in group["params"])
