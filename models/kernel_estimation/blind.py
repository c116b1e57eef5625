"""A kernel with the confidence that it is one: parts of an image that were blurred alike must tell the same.

Shapes: C channels, H and W height and width, K side of a kernel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.kernel_estimation.coarse_to_fine import estimate_kernel
from models.kernel_estimation.found import Estimate, nothing_found
from models.kernel_estimation.planes import across, busiest_part, down

CONFIDENT = 0.8
"""Agreement from which a kernel is used: on eleven photographs with two simulated shakes each all that had it
gained; so did most of those that had it not."""
_SIDE = 31
"""Of the kernel: blurs of up to 15 pixels each way."""
_WINDOW = 384
"""Side of the part of an image that is looked at, in pixels."""
_OVERLAP = 0.625
"""Share of the window that each of two parts has."""
_SHARP = 0.9
"""Spread of a kernel that blurs nothing that can be seen, in pixels."""
_RIM, _INNER_SHARE = 2, 0.9
"""Width of the rim of a kernel, and what lies within it at least where the kernel is seen as a whole."""
_EDGES = 3.5
"""How many times the strongest gradients exceed the middle ones at least: it is 3.1 in noise."""
_FLAT = 0.01
"""Standard deviation of an image that shows nothing, as a fraction of the range."""


def blind(image_CHW: Tensor) -> Estimate:
    """Of any blur that is the same all over the image: camera shake, motion, defocus."""
    grey_HW = image_CHW.float().mean(dim=0)
    if min(grey_HW.shape) < 3 * _SIDE:
        size = " x ".join(map(str, grey_HW.shape))
        return nothing_found(f"{size} pixels are too few to tell a blur from; it takes {3 * _SIDE} each way")
    window_HW = busiest_part(grey_HW, _WINDOW)
    if float(window_HW.std()) < _FLAT:
        return nothing_found("it shows nothing that a blur could be told from")
    if _edges(window_HW) < _EDGES:
        return nothing_found("it has no edges that a blur could be told from, noise or soft shades alone")
    kernel_KK = estimate_kernel(window_HW, _SIDE)
    parts = [estimate_kernel(part_HW, _SIDE) for part_HW in _parts(window_HW)]
    pairs = ((*parts,), *((kernel_KK, part) for part in parts))
    confidence = min(agreement(first, second) for first, second in pairs)
    return Estimate(kernel_KK, confidence, _doubt(kernel_KK, confidence))


def _doubt(kernel_KK: Tensor, confidence: float) -> str:
    if spread(kernel_KK) < _SHARP:
        return "it is sharp already: what was found blurs less than a pixel"
    radius = len(kernel_KK) // 2
    inner_KK = kernel_KK[_RIM:-_RIM, _RIM:-_RIM]
    if float(inner_KK.sum()) < _INNER_SHARE:
        return f"a blur of more than {radius - _RIM} pixels each way, if it is one, cannot be told"
    if confidence < CONFIDENT:
        return f"parts of it tell of different blurs: {confidence:.2f} agree, {CONFIDENT} is asked for"
    return ""


def _edges(window_HW: Tensor) -> float:
    slope_N = torch.hypot(across(window_HW)[:-1, :-1], down(window_HW)[:-1, :-1]).flatten()
    middle, strongest = slope_N.quantile(torch.tensor([0.5, 0.995]).to(slope_N)).tolist()
    return float(strongest / max(middle, 1e-9))


def agreement(first_KK: Tensor, second_KK: Tensor) -> float:
    """Greatest correlation of two kernels over all shifts, 1 for those that differ by their place alone."""
    side = 2 * max(len(first_KK), len(second_KK))
    spectra = [torch.fft.rfft2(each, s=(side, side)) for each in (first_KK, second_KK)]
    products: Tensor = torch.fft.irfft2(spectra[0] * spectra[1].conj(), s=(side, side))
    return float(products.max() / (first_KK.norm() * second_KK.norm()))


def spread(kernel_KK: Tensor) -> float:
    """Root of the mean squared distance from the centre of mass, in pixels."""
    place_K = torch.arange(len(kernel_KK)).to(kernel_KK)
    variance = 0.0
    for axis in range(2):
        share_K = kernel_KK.sum(dim=axis)
        variance += float((share_K * (place_K - (share_K * place_K).sum()).square()).sum())
    return math.sqrt(variance)


def _parts(window_HW: Tensor) -> tuple[Tensor, Tensor]:
    """Its beginning and its end along the longer side."""
    axis = int(window_HW.shape[1] >= window_HW.shape[0])
    length = window_HW.shape[axis]
    part = round(_OVERLAP * length)
    return window_HW.narrow(axis, 0, part), window_HW.narrow(axis, length - part, part)
