"""Daubechies' orthogonal wavelets and their two-dimensional transform on periodic images.

Daubechies 1988, "Orthonormal bases of compactly supported wavelets", section 4; Mallat 1989. Shapes: B
batch, C channels, H and W height and width (even), L taps.
"""

from __future__ import annotations

import functools
from math import comb

import numpy as np
import torch
from torch import Tensor


@functools.lru_cache(maxsize=16)
def daubechies(moments: int) -> tuple[float, ...]:
    """Low-pass taps (``2 moments`` of them, norm 1) of the wavelet with that many vanishing moments.

    By spectral factorisation: the roots within the unit circle of the polynomial that completes
    ``cos(w/2)^(2 moments)`` to a half-band filter.
    """
    taps = np.ones(1)
    for _ in range(moments):
        taps = np.convolve(taps, [1.0, 1.0])
    # P(y) with y = (2 - z - 1/z) / 4, times z^(moments - 1), as a polynomial in z.
    polynomial = np.zeros(2 * moments - 1)
    power = np.ones(1)
    for degree in range(moments):
        padding = moments - 1 - degree
        polynomial += comb(moments - 1 + degree, degree) * np.pad(power, padding)
        power = np.convolve(power, [-0.25, 0.5, -0.25])
    for root in np.roots(polynomial):
        if abs(root) < 1:
            taps = np.convolve(taps, [1.0, -root])
    taps = taps.real / np.linalg.norm(taps.real)
    return tuple(float(tap) for tap in taps)


def decompose(image_BCHW: Tensor, moments: int) -> tuple[Tensor, Tensor]:
    """One level: the BCHW image of half the size, and 3BCHW details (vertical, horizontal, both)."""
    low_BCHW, high_BCHW = _split(image_BCHW, moments, -1)
    coarse_BCHW, vertical_BCHW = _split(low_BCHW, moments, -2)
    horizontal_BCHW, diagonal_BCHW = _split(high_BCHW, moments, -2)
    return coarse_BCHW, torch.stack([vertical_BCHW, horizontal_BCHW, diagonal_BCHW])


def recompose(coarse_BCHW: Tensor, details_3BCHW: Tensor, moments: int) -> Tensor:
    """The image of which ``decompose`` made these."""
    vertical_BCHW, horizontal_BCHW, diagonal_BCHW = details_3BCHW
    low_BCHW = _join(coarse_BCHW, vertical_BCHW, moments, -2)
    high_BCHW = _join(horizontal_BCHW, diagonal_BCHW, moments, -2)
    return _join(low_BCHW, high_BCHW, moments, -1)


def _filters(moments: int) -> tuple[list[float], list[float]]:
    """Low-pass and its quadrature mirror."""
    low = list(daubechies(moments))
    return low, [(-1.0) ** index * tap for index, tap in enumerate(reversed(low))]


def _split(image_BCHW: Tensor, moments: int, dimension: int) -> tuple[Tensor, Tensor]:
    # A sum of shifted even and odd samples: no padding, no strided convolution, exact on any device.
    low, high = _filters(moments)
    samples = [_phase(image_BCHW, index, dimension) for index in range(len(low))]
    return _mix(low, samples), _mix(high, samples)


def _phase(image_BCHW: Tensor, index: int, dimension: int) -> Tensor:
    """Every second sample from ``index`` on, around the end."""
    half = image_BCHW.unfold(dimension, 2, 2)[..., index % 2]
    return half.roll(-(index // 2), dims=dimension)


def _mix(taps: list[float], samples: list[Tensor]) -> Tensor:
    return sum(
        (tap * sample for tap, sample in zip(taps, samples, strict=True)), torch.zeros_like(samples[0])
    )


def _join(low_BCHW: Tensor, high_BCHW: Tensor, moments: int, dimension: int) -> Tensor:
    low, high = _filters(moments)
    phases = [torch.zeros_like(low_BCHW), torch.zeros_like(low_BCHW)]
    for index, (low_tap, high_tap) in enumerate(zip(low, high, strict=True)):
        part = low_tap * low_BCHW + high_tap * high_BCHW
        phases[index % 2] = phases[index % 2] + part.roll(index // 2, dims=dimension)
    # Interleaves the two phases along the dimension.
    return torch.stack(phases, dim=dimension + len(low_BCHW.shape) + 1).flatten(dimension - 1, dimension)
