"""Philox4x32-10, random numbers by counter (Salmon et al., SC 2011), in integer arithmetic of torch.

The same words on every device, whatever else is drawn, in any order: a word follows from key and counter.

Shapes: the counters' own, N.
"""

from __future__ import annotations

import torch
from torch import Tensor

_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF

Words = tuple[Tensor, Tensor, Tensor, Tensor]
"""Four words of 32 bits, in int64."""


def philox(counter: Words, key: tuple[Tensor, Tensor]) -> Words:
    """The four random words of each counter; ``key`` broadcasts to it. All are int64 in [0, 2^32)."""
    first, second, third, fourth = counter
    key_0, key_1 = key
    for _ in range(_ROUNDS):
        high_0, low_0 = _product(first, _MULTIPLIERS[0])
        high_1, low_1 = _product(third, _MULTIPLIERS[1])
        first, second, third, fourth = high_1 ^ second ^ key_0, low_1, high_0 ^ fourth ^ key_1, low_0
        key_0, key_1 = (key_0 + _KEY_STEPS[0]) & _LOW, (key_1 + _KEY_STEPS[1]) & _LOW
    return first, second, third, fourth


def unit(word: Tensor) -> Tensor:
    """Words as float64 in (0, 1): neither end, so that a logarithm is finite."""
    return (word.double() + 0.5) / 2**32


def _product(word: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """The upper and the lower 32 bits; the signed product of 64 bits wraps, which keeps all of them."""
    product = word * torch.tensor(factor, dtype=torch.int64, device=word.device)
    return (product >> 32) & _LOW, product & _LOW
