"""Deviates out of counter-based words: as many kernels whatever the values, so nobody waits for a device.

Shapes: N any, that of the words.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from models.operators.batched.philox import Words, unit

Source = Callable[[int], Words]
"""``source(attempt)``: fresh words for every element."""

_FEW = 10.0
"""Means below it are drawn by inversion."""
_FEW_AT_MOST = 64
"""Counts of such a mean: a larger one has a chance below 1e-25."""
_ATTEMPTS = 16
"""Of a rejection. Each leaves at most one element in eight, so 16 leave 1e-15 of them."""


def normal_deviates(words: Words) -> Tensor:
    """Standard normal float64 (Box and Muller, 1958)."""
    radius = torch.sqrt(-2.0 * torch.log(unit(words[0])))
    return radius * torch.cos(2.0 * math.pi * unit(words[1]))


def poisson_deviates(mean: Tensor, source: Source) -> Tensor:
    """Counts, float64; ``mean`` is float64 and not negative."""
    few = _by_inversion(mean.clamp_max(_FEW), unit(source(0)[0]))
    return torch.where(mean < _FEW, few, _by_transformed_rejection(mean.clamp_min(_FEW), source))


def _by_inversion(mean: Tensor, uniform: Tensor) -> Tensor:
    chance = torch.exp(-mean)
    total, count = chance.clone(), torch.zeros_like(mean)
    for number in range(1, _FEW_AT_MOST):
        count += uniform > total
        chance = chance * mean / number
        total += chance
    return count


def _by_transformed_rejection(mean: Tensor, source: Source) -> Tensor:
    """PTRS (Hoermann, 1993)."""
    b = 0.931 + 2.53 * mean.sqrt()
    a = -0.059 + 0.02483 * b
    inverse_alpha, v_r = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)
    count, is_open = mean.round(), torch.ones_like(mean, dtype=torch.bool)
    for attempt in range(1, _ATTEMPTS + 1):
        words = source(attempt)
        u, v = unit(words[0]) - 0.5, unit(words[1])
        us = 0.5 - u.abs()
        k = torch.floor((2 * a / us + b) * u + mean + 0.43)
        left = torch.log(v * inverse_alpha / (a / us.square() + b))
        right = k * mean.log() - mean - torch.lgamma(k.clamp_min(0) + 1)
        slow = (k >= 0) & ~((us < 0.013) & (v > us)) & (left <= right)
        accepted = is_open & (((us >= 0.07) & (v <= v_r)) | slow)
        count, is_open = torch.where(accepted, k, count), is_open & ~accepted
    return count


def gamma_deviates(shape: Tensor, source: Source) -> Tensor:
    """Of scale 1, float64 (Marsaglia and Tsang, 2000); a shape below 1 is drawn from the one above it."""
    raised = torch.where(shape < 1, shape + 1, shape)
    d = raised - 1 / 3
    c = 1 / torch.sqrt(9 * d)
    value, is_open = d.clone(), torch.ones_like(d, dtype=torch.bool)
    for attempt in range(1, _ATTEMPTS + 1):
        words = source(attempt)
        x = normal_deviates(words)
        v = (1 + c * x) ** 3
        bound = 0.5 * x.square() + d * (1 - v + torch.log(v.clamp_min(1e-300)))
        accepted = is_open & (v > 0) & (torch.log(unit(words[2])) < bound)
        value, is_open = torch.where(accepted, d * v, value), is_open & ~accepted
    shrunk = unit(source(0)[0]) ** (1 / shape)
    return torch.where(shape < 1, value * shrunk, value)
