"""The cosine transform of 8 x 8 samples in whole numbers, rounded as libjpeg's "slow integer" one.

Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications", ICASSP 1989,
figure 1, along one axis and then along the other, in fixed point.

Shapes: P planes, N blocks; 88 rows and columns of a block, or of its frequencies.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FINE, COARSE = 13, 2
"""Fractional bits of the factors, and of what the first pass hands to the second."""


def _fixed(value: float) -> int:
    return round(value * (1 << FINE))


_EVEN, _EVEN_LESS, _EVEN_MORE = _fixed(0.541196100), _fixed(1.847759065), _fixed(0.765366865)
_ODD = _fixed(1.175875602)
_ODD_EACH = tuple(_fixed(value) for value in (0.298631336, 2.053119869, 3.072711026, 1.501321110))
_ODD_PAIRS = tuple(-_fixed(value) for value in (0.899976223, 2.562915447, 1.961570560, 0.390180644))


def to_frequencies(block_P88N: Tensor) -> Tensor:
    """int32 samples about zero -> eight times their cosine transform, of the rows first."""
    first_P88N = torch.stack(_forward(block_P88N.unbind(2), -COARSE), 2)
    return torch.stack(_forward(first_P88N.unbind(1), COARSE), 1)


def to_samples(frequency_P88N: Tensor) -> Tensor:
    """int32 frequencies -> samples about zero, of the columns first."""
    first_P88N = torch.stack(_backward(frequency_P88N.unbind(1), FINE - COARSE), 1)
    return torch.stack(_backward(first_P88N.unbind(2), FINE + COARSE + 3), 2)


def _rounded(value: Tensor, bits: int) -> Tensor:
    """Times two to the power of ``-bits``, halves up."""
    return value << -bits if bits <= 0 else (value + (1 << (bits - 1))) >> bits


def _forward(d: Sequence[Tensor], coarser: int) -> list[Tensor]:
    """Eight samples -> eight frequencies with so many fractional bits less."""
    bits = FINE + coarser
    sums, differences = [d[i] + d[7 - i] for i in range(4)], [d[i] - d[7 - i] for i in (3, 2, 1, 0)]
    t10, t13, t11, t12 = sums[0] + sums[3], sums[0] - sums[3], sums[1] + sums[2], sums[1] - sums[2]
    z = (t12 + t13) * _EVEN
    odd = _odd(differences)
    return [
        _rounded(t10 + t11, coarser),
        _rounded(odd[3], bits),
        _rounded(z + t13 * _EVEN_MORE, bits),
        _rounded(odd[2], bits),
        _rounded(t10 - t11, coarser),
        _rounded(odd[1], bits),
        _rounded(z - t12 * _EVEN_LESS, bits),
        _rounded(odd[0], bits),
    ]


def _backward(f: Sequence[Tensor], bits: int) -> list[Tensor]:
    """Eight frequencies -> eight samples with so many fractional bits less."""
    z = (f[2] + f[6]) * _EVEN
    t2, t3 = z - f[6] * _EVEN_LESS, z + f[2] * _EVEN_MORE
    t0, t1 = (f[0] + f[4]) << FINE, (f[0] - f[4]) << FINE
    even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3]
    odd = _odd([f[7], f[5], f[3], f[1]])[::-1]
    over = [_rounded(a + b, bits) for a, b in zip(even, odd, strict=True)]
    under = [_rounded(a - b, bits) for a, b in zip(even, odd, strict=True)]
    return over + under[::-1]


def _odd(t: Sequence[Tensor]) -> list[Tensor]:
    """The half of the butterfly that both directions share."""
    z3, z4 = t[0] + t[2], t[1] + t[3]
    z5 = (z3 + z4) * _ODD
    z1, z2 = (t[0] + t[3]) * _ODD_PAIRS[0], (t[1] + t[2]) * _ODD_PAIRS[1]
    z3, z4 = z3 * _ODD_PAIRS[2] + z5, z4 * _ODD_PAIRS[3] + z5
    own = [each * factor for each, factor in zip(t, _ODD_EACH, strict=True)]
    return [own[0] + z1 + z3, own[1] + z2 + z4, own[2] + z2 + z3, own[3] + z1 + z4]
