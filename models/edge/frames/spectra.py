"""Spectra without complex numbers, of which ONNX has the Fourier transform alone.

Shapes: H and W height and width, K frequencies of an axis, 2 real and imaginary part, last.
"""

from __future__ import annotations

import torch
from torch import Tensor


def frequencies(count: int) -> Tensor:
    """``torch.fft.fftfreq``: K in cycles a pixel, float64; ``count`` may be a number that the run decides."""
    steps_K, size_1 = axis_of(count)
    return steps_K / size_1 - (2 * steps_K >= size_1).double()


def axis_of(count: int) -> tuple[Tensor, Tensor]:
    """0, 1, ... up to ``count``, and ``count`` itself as a tensor, float64: graphs divide by tensors."""
    steps_N = torch.arange(count, dtype=torch.float64)
    return steps_N, steps_N[-1:] + 1


def spectrum_of(values_HW: Tensor) -> Tensor:
    """``torch.fft.fft2`` over the last two axes, as HW2."""
    return torch.view_as_real(torch.fft.fft2(values_HW))


def half_spectrum_of(values_HW: Tensor) -> Tensor:
    """``torch.fft.rfft2`` over the last two axes, as HK2."""
    return torch.view_as_real(torch.fft.rfft2(values_HW))


def of_half_spectrum(spectrum_HK2: Tensor, width: int) -> Tensor:
    """``torch.fft.irfft2`` of HK2, as HW; ``width`` is even."""
    # All frequencies but the first and the last stand for two. What is mirrored is conjugate: the real part.
    twice_K1 = torch.ones_like(spectrum_HK2[0, 0, 0, :-2, :1]) * 2
    once_11 = twice_K1[:1] / 2
    weight_K1 = torch.cat([once_11, twice_K1, once_11])
    weighted_HK2 = spectrum_HK2 * weight_K1
    nothing_HW2 = torch.zeros_like(weighted_HK2)
    full_HW2 = torch.cat([weighted_HK2, nothing_HW2[..., 1:-1, :]], -2)
    return torch.view_as_real(torch.fft.ifft2(torch.view_as_complex(full_HW2.contiguous())))[..., 0]


def size_of(spectrum_HW2: Tensor) -> Tensor:
    """HW: absolute values."""
    return spectrum_HW2.square().sum(-1).sqrt()


def times_conjugate(first_HW2: Tensor, second_HW2: Tensor) -> Tensor:
    """HW2: the first spectrum times the conjugate of the second."""
    real, imaginary = first_HW2[..., 0], first_HW2[..., 1]
    other, turned = second_HW2[..., 0], second_HW2[..., 1]
    return torch.stack([real * other + imaginary * turned, imaginary * other - real * turned], -1)
