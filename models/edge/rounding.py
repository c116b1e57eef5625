"""Layers that round as int8 will, for a training: what is learnt bears it.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
CVPR 2018, section 3; gradients pass as if nothing were rounded (Bengio et al. 2013). Ranges are the batch's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_STEPS = 255
_WEIGHT_STEPS = 64
"""Of weights on each side of zero: 7 of the 8 bits, as ``models.edge.int8`` has them."""
_LEAST = 1e-12


class _Rounded(torch.autograd.Function):
    """Whole numbers, and the gradient as it comes."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        return values.round()

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return gradient


def rounded_features(features: Tensor) -> Tensor:
    """One of 256 values between the least and the greatest, zero among them."""
    low, high = features.detach().amin().clamp(max=0), features.detach().amax().clamp(min=0)
    step = ((high - low) / _STEPS).clamp(min=_LEAST)
    zero = (-low / step).round()
    whole: Tensor = _Rounded.apply(features / step)  # type: ignore[no-untyped-call]
    return ((whole + zero).clamp(0, _STEPS) - zero) * step


def rounded_weights(weights: Tensor) -> Tensor:
    """One of 129 values for each filter."""
    step = weights.detach().abs().flatten(1).amax(1).clamp(min=_LEAST) / _WEIGHT_STEPS
    step = step.view(-1, *[1] * (weights.dim() - 1))
    whole: Tensor = _Rounded.apply(weights / step)  # type: ignore[no-untyped-call]
    return whole * step


class RoundedConv2d(nn.Conv2d):
    """A convolution of rounded features by rounded weights; its own weights stay as they are."""

    def forward(self, input: Tensor) -> Tensor:
        """As ``Conv2d``."""
        weight = rounded_weights(self.weight)
        result: Tensor = self._conv_forward(rounded_features(input), weight, self.bias)
        return result


def round_layers(network: nn.Module) -> int:
    """Makes every convolution of the network a ``RoundedConv2d``, in place; how many there are."""
    found = [each for each in network.modules() if type(each) is nn.Conv2d]
    for each in found:
        each.__class__ = RoundedConv2d
    return len(found)
